"""The dialplan applications that ``freeswitch_conf/`` and the daemon use, one small function each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import gevent
import structlog
from gevent import socket as gsocket

from demo.practice import hangup, playback, recordings
from demo.practice.conference import PracticeConference
from demo.practice.conversation import CALL_TIMEOUT, talk
from demo.practice.leg import outbound_leg
from demo.practice.listener import PracticeListener
from demo.practice.session import Application, PracticeCall
from recorder.errors import SwitchError

log = structlog.get_logger()


def _set(session: PracticeCall, data: str) -> None:
    name, _, value = data.partition("=")
    if value and value != "_undef_":
        session.leg.variables[name] = value
    else:
        session.leg.variables.pop(name, None)


def _export(session: PracticeCall, data: str) -> None:
    """For the legs that the call makes; with ``nolocal:`` only for these."""
    own = data.removeprefix("nolocal:")
    if own == data:
        _set(session, data)
    name, _, value = own.partition("=")
    session.exports[name] = value


def _unset(session: PracticeCall, data: str) -> None:
    session.leg.variables.pop(data, None)


def _multiset(session: PracticeCall, data: str) -> None:
    separator = " "
    if data.startswith("^^"):
        separator, data = data[2], data[3:]
    for pair in data.split(separator):
        if "=" in pair:
            _set(session, pair)


def _answer(session: PracticeCall, _: str) -> None:
    session.answer()


def _early_media(session: PracticeCall) -> None:
    """Applications that need sound start early media on a call that is not answered."""
    if session.leg.answered or session.leg.call_state == "EARLY":
        return
    session.emit("CHANNEL_PROGRESS_MEDIA")
    session.call_state(session.leg, "EARLY")
    session.media.start()


def _record(session: PracticeCall, data: str) -> None:
    found = re.fullmatch(r"'([^']*)'\s*(\{.*\})?|(\S+)\s*(\{.*\})?", data.strip())
    if found is None:
        return
    _early_media(session)
    recordings.start(session, Path(found[1] or found[3]), found[2] or found[4] or "")


def _stop_recording(session: PracticeCall, data: str) -> None:
    _early_media(session)
    recordings.stop(session, data.strip("'"))


def _play(session: PracticeCall, data: str) -> None:
    _early_media(session)
    player = playback.prepare(session.leg, data)
    if player is None:
        return
    session.media.prompt = player
    playback.report_start(session, session.leg, data)
    session.played.append(data)
    session.phase_events["announcing"].set()
    session.until(lambda: session.media.prompt is not player)
    session.media.prompt = None
    playback.report_end(session, session.leg, data, player, away=not session.ready)


def _read(session: PracticeCall, data: str) -> None:
    """``<least> <most> <sound> <variable> <milliseconds> <terminators>``: one key, of a callee."""
    least, most, sound, variable, milliseconds, terminators = data.split()
    if (least, most, sound, terminators) != ("1", "1", "silence", "none"):
        raise SwitchError(
            "practice.application",
            f"the practice switch does not know read {data!r}",
            "teach demo/practice/applications.py what the real switch does with it",
        )
    session.read(variable, int(milliseconds) / 1000)


def _ask_for_digits(session: PracticeCall, data: str) -> None:
    """``<least> <most> <tries> <milliseconds> <terminators> <sound> <sound if invalid> <variable> <regex>``,
    with one try: any key ends the sound, whatever ``playback_terminators`` says, and counts. Too few digits
    are in the variable, too, and a digit that does not match is a success without one (observed)."""
    words = [each.strip("'") for each in re.findall(r"'[^']*'|[^ ]+", data)]  # quoted, since it has spaces
    least, most, tries, milliseconds, terminators, sound, _, variable, regex = words
    if tries != "1" or terminators not in (("none",) if least == most else ("none", "#")):
        raise SwitchError(
            "practice.application",
            f"the practice switch does not know play_and_get_digits {data!r}",
            "teach demo/practice/applications.py what the real switch does with it",
        )
    for name in (variable, "read_result"):
        session.leg.variables.pop(name, None)
    player = playback.prepare(session.leg, sound)
    with session.collect_keys():
        if player is not None:
            session.media.prompt = player
            playback.report_start(session, session.leg, sound)
            session.played.append(sound)
            session.until(lambda: session.media.prompt is not player)
            session.media.prompt = None
            playback.report_end(session, session.leg, sound, player, away=not session.ready)
            session.leg.variables.pop(playback.RESPONSE, None)
        digits = ""
        while len(digits) < int(most) and session.until(lambda: bool(session.keys), int(milliseconds) / 1000):
            key, session.keys = session.keys[0], session.keys[1:]
            if key == terminators:
                break
            digits += key
    is_complete = len(digits) >= int(least)
    if digits and (re.fullmatch(regex, digits) or not is_complete):
        session.leg.variables[variable] = digits
    session.leg.variables["read_result"] = "success" if is_complete else "failure"


def _park(session: PracticeCall, _: str) -> None:
    """Stay until the call is sent elsewhere, or ends."""
    session.emit("CHANNEL_PARK")
    while session.until(lambda: bool(session.tasks)):
        session.run_tasks()
    session.emit("CHANNEL_UNPARK")


def _event(session: PracticeCall, data: str) -> None:
    pairs = dict(pair.split("=", 1) for pair in data.split(","))
    subclass = pairs.pop("Event-Subclass")
    del pairs["Event-Name"]
    session.switch.custom(session.leg, subclass, [pair for pair in pairs.items() if pair[1]])


def _sleep(session: PracticeCall, data: str) -> None:
    session.until(lambda: False, int(data) / 1000)


def _schedule_transfer(session: PracticeCall, data: str) -> None:
    when, extension, _dialplan, context = [*data.split(), "", "", ""][:4]
    go = partial(session.transfer, extension, context)
    number = session.switch.schedule(float(when.removeprefix("+")), go)
    session.leg.variables["last_sched_id"] = str(number)


def _transfer(session: PracticeCall, data: str) -> None:
    extension, _dialplan, context = [*data.split(), "", ""][:3]
    session.transfer(extension, context or session.leg.context)


def _execute_extension(session: PracticeCall, data: str) -> None:
    extension, _dialplan, context = [*data.split(), "", ""][:3]
    session.extension(extension, context or session.leg.context)


def _hang_up(session: PracticeCall, data: str) -> None:
    session.hang_up(data or "NORMAL_CLEARING")


def _socket(session: PracticeCall, data: str) -> None:
    """Bring the call to the daemon, and stay until it releases the call or the channel is called away."""
    addresses, *modes = data.split()
    session.phase_events["asked"].set()
    listener = _reach(session, addresses, in_turn="async" not in modes)
    if listener is None:
        return
    session.listener = listener
    session.until(lambda: listener.connected or listener.finished)
    if listener.in_turn:
        while session.until(lambda: bool(session.tasks) or listener.finished) and not listener.finished:
            session.run_tasks()
    elif session.ready:
        session.emit("CHANNEL_PARK")
        while session.until(lambda: bool(session.tasks)):
            session.run_tasks()
        session.run_tasks()  # earlier orders are still started: an extension then finds the channel not ready
        session.emit("CHANNEL_UNPARK")
    if session.reset and session.leg.cause is None:
        session.reset = False  # socket_resume: back to the dialplan


def _reach(session: PracticeCall, addresses: str, *, in_turn: bool) -> PracticeListener | None:
    for address in addresses.split("|"):
        host, _, port = address.partition(":")
        try:
            connection = gsocket.create_connection((host, int(port)), timeout=5)
        except OSError as error:
            log.info("practice.daemon_away", address=address, error=str(error))
            continue
        connection.settimeout(None)
        session.leg.variables["socket_host"] = host
        listener = PracticeListener(session.switch, connection, session.leg, in_turn=in_turn)

        def serve(listener: PracticeListener = listener) -> None:
            session.switch.listen(listener)
            session.lost_listener()

        gevent.spawn(serve)
        return listener
    return None


def _bridge(session: PracticeCall, data: str) -> None:
    """Call the other end, connect both, and stay until one of them hangs up."""
    if session.dials(data.rpartition("/")[2]):
        return
    a, party, pace = session.leg, session.party, session.switch.pace
    before = a.call_state
    session.call_state(a, "RING_WAIT")
    session.switch.calls_so_far += 1
    target = data.rpartition("/")[2]
    b = outbound_leg(session.switch.new_uuid(), a, target, pace, session.switch.calls_so_far)
    b.variables |= session.exports
    session.b = b
    session.state(b, "CS_INIT")
    session.emit("CHANNEL_CREATE", leg=b)
    session.state(b, "CS_ROUTING")
    session.state(b, "CS_CONSUME_MEDIA")
    if party.callee == "busy":
        hangup.end_internal(session, "USER_BUSY")
        session.call_state(a, before)
        session.hang_up("USER_BUSY")
        return
    b.progress_at = a.progress_at = pace.micros()
    a.callee = b.destination
    session.emit("CHANNEL_PROGRESS", leg=b)
    session.call_state(b, "RINGING")
    session.phase_events["ringing"].set()
    if not _rings(session):
        a.variables["originate_disposition"] = "NO_ANSWER" if session.ready else "ORIGINATOR_CANCEL"
        if session.ready:
            session.call_state(a, before)
        hangup.end_internal(session, a.variables["originate_disposition"])
        return
    b.answered_at = pace.micros()
    session.emit("CHANNEL_ANSWER", leg=b)
    session.call_state(b, "ACTIVE")
    a.other = b
    session.answer()
    if a.call_state != "ACTIVE":
        session.call_state(a, "ACTIVE")
    a.bridged_at = pace.micros()
    a.variables |= {
        "originate_disposition": "SUCCESS", "DIALSTATUS": "SUCCESS", "signal_bond": b.uuid,
        "originated_legs": f"{b.uuid};Outbound Call;{b.destination}",
    }  # fmt: skip
    session.emit("CHANNEL_BRIDGE", first=[("Bridge-A-Unique-ID", a.uuid), ("Bridge-B-Unique-ID", b.uuid)])
    session.state(b, "CS_EXCHANGE_MEDIA")
    session.media.connect()
    a.variables |= {
        "bridge_to": b.uuid, "last_bridge_to": b.uuid, "bridge_channel": b.channel_name,
        "bridge_uuid": b.uuid,
    }  # fmt: skip
    session.phase_events["bridged"].set()
    session.take_keys()
    talk(session)
    session.inside.cut()
    session.media.disconnect()
    hangup.end_internal(session, session.callee_gone or "NORMAL_CLEARING")
    a.variables.pop("bridge_to", None)
    a.variables["bridge_hangup_cause"] = session.callee_gone or a.cause or "NORMAL_CLEARING"
    session.emit("CHANNEL_UNBRIDGE", first=[("Bridge-A-Unique-ID", a.uuid), ("Bridge-B-Unique-ID", b.uuid)])
    if (a.variables.get("hangup_after_bridge") == "true" and not session.transferred) or session.reset:
        session.hang_up()


def _conference(session: PracticeCall, data: str) -> None:
    """``<name>@<profile>``: stay until the leg hangs up, is kicked or called away."""
    session.answer()
    name, _, profile = data.partition("@")
    conferences = session.switch.conferences
    if name not in conferences:
        conferences[name] = PracticeConference(session.switch, name, profile or "default")
    conference = conferences[name]
    member = conference.join(session)
    session.conference, session.media.member = conference, member
    session.until(lambda: member.kicked)
    session.conference, session.media.member = None, None
    conference.leave(member)


def _rings(session: PracticeCall) -> bool:
    """Whether the callee answers."""
    limit = float(session.leg.variables.get("call_timeout", CALL_TIMEOUT))
    party = session.party
    answers = party.callee == "answers" and party.rings <= limit
    session.until(lambda: False, party.rings if answers else limit)
    return answers and session.ready


def _bind(session: PracticeCall, data: str) -> None:
    session.digits.bind(data)


def _unbind(session: PracticeCall, data: str) -> None:
    session.digits.clear(data)


def _flush_keys(session: PracticeCall, _: str) -> None:
    session.keys = ""


def _nothing(_session: PracticeCall, _data: str) -> None:
    """For applications that make no difference to a practice call."""


APPLICATIONS: Mapping[str, Application] = {
    "answer": _answer,
    "bind_digit_action": _bind,
    "bridge": _bridge,
    "clear_digit_action": _unbind,
    "conference": _conference,
    "event": _event,
    "execute_extension": _execute_extension,
    "export": _export,
    "flush_dtmf": _flush_keys,
    "hangup": _hang_up,
    "info": _nothing,
    "log": _nothing,
    "multiset": _multiset,
    "park": _park,
    "play_and_get_digits": _ask_for_digits,
    "playback": _play,
    "read": _read,
    "record_session": _record,
    "sched_transfer": _schedule_transfer,
    "set": _set,
    "sleep": _sleep,
    "socket": _socket,
    "stop_record_session": _stop_recording,
    "transfer": _transfer,
    "unset": _unset,
}
