"""Builds every command that Accord sends to FreeSWITCH.

A connection sends only :class:`SwitchCommand` values, and only the functions of this module create them. Each
argument is validated, because the event socket has no reliable quoting: a line feed ends a command, the
switch expands ``${…}``, and a quote or a space shifts the next argument. An invalid argument raises
:class:`SwitchError` (``switch.argument``) before anything is sent.

Recording ids and paths come from Accord alone. No data of a caller becomes an argument, with one exception:
the switch may use a call's SIP Call-ID as its channel id. Check :func:`addressable` before a command about a
channel that Accord did not create.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.domain.room_caller import CALLEE_VARIABLE, SESSION_VARIABLE, CallerDirection
from recorder.errors import SwitchError
from recorder.switch.esl_events import NAMES

CONTEXT: Final = "accord"
"""The dialplan context of Accord's own extensions (``freeswitch_conf/``)."""

CALLEE: Final = "accord_callee"
"""The context of the extensions for the callee's leg of an outbound call."""


@dataclass(frozen=True, slots=True, repr=False)
class SwitchCommand:
    """A command, without the empty line that ends it. ``secret`` keeps it out of logs."""

    text: str
    secret: bool = False

    @property
    def wire(self) -> bytes:
        """The bytes on the socket."""
        return self.text.encode() + b"\n\n"

    def __str__(self) -> str:
        """The text for logs: one line, without secrets."""
        return self.text.partition(" ")[0] if self.secret else self.text.replace("\n", " | ")

    def __repr__(self) -> str:
        return f"<Command {self}>"


# --- the connection itself


def auth(password: str) -> SwitchCommand:
    """Log in on the standing connection."""
    if not password or len(password) > 256 or not password.isprintable():
        raise _refuse("the event socket's password", "one printable line, at most 256 characters")
    return SwitchCommand(f"auth {password}", secret=True)


def connect() -> SwitchCommand:
    """The first command on the socket that a call arrives on; the reply is the channel's data.

    It must come first: FreeSWITCH does not reply to another first command (``listener_run``)."""
    return SwitchCommand("connect")


def leave() -> SwitchCommand:
    """End the connection: the reply is ``+OK bye``, after everything sent before."""
    return SwitchCommand("exit")


def my_events() -> SwitchCommand:
    """On a call's own socket: receive this channel's events."""
    return SwitchCommand("myevents")


def linger(seconds: int) -> SwitchCommand:
    """On a call's own socket: stay connected for 1 to 600 seconds after the hang-up, to receive the last
    events."""
    if not 1 <= seconds <= 600:
        raise _refuse("linger", "1 to 600 seconds")
    return SwitchCommand(f"linger {seconds}")


def subscribe(names: Iterable[str], subclasses: Iterable[str] = ()) -> SwitchCommand:
    """Subscribe to events in the plain format: ``names`` out of :data:`recorder.switch.esl_events.NAMES`,
    and ``subclasses`` of CUSTOM events (``accord::keep``)."""
    plain_names = [name for name in dict.fromkeys(names) if name != "CUSTOM"]
    for name in plain_names:
        if name not in NAMES:
            raise _refuse(f"event {name!r}", "one of recorder.switch.esl_events.NAMES")
    custom = list(dict.fromkeys(subclasses))
    for subclass in custom:
        if not _SUBCLASS.fullmatch(subclass):
            raise _refuse(f"event subclass {subclass!r}", "letters, digits, '_', '-', '.' and '::'")
    # CUSTOM goes last: FreeSWITCH reads every word after it as a subclass.
    words = [*plain_names, "CUSTOM", *custom] if custom else plain_names
    if not words:
        raise _refuse("no event", "at least one")
    return SwitchCommand("event plain " + " ".join(words))


def only_channel(uuid: str) -> SwitchCommand:
    """Pass only this channel's events. With several such filters, an event must match one of them."""
    return SwitchCommand(f"filter Unique-ID {_uuid(uuid)}")


# --- on a call's own socket


def execute(application: str, argument: str) -> SwitchCommand:
    """Have the channel run a dialplan application, after those sent before (``event-lock``).

    Not for free text: :func:`execute_extension` builds the argument."""
    if application not in APPLICATIONS:
        raise _refuse(f"application {application!r}", "one of " + ", ".join(sorted(APPLICATIONS)))
    lines = ["sendmsg", "call-command: execute", f"execute-app-name: {application}"]
    lines += [f"execute-app-arg: {_one_line('argument', argument)}", "event-lock: true"]
    return SwitchCommand("\n".join(lines))


APPLICATIONS: Final = frozenset({"execute_extension"})
"""The only allowed applications: everything else is done in the dialplan, behind its guards."""


def execute_extension(extension: str, context: str = CONTEXT) -> SwitchCommand:
    """Run an extension of Accord's dialplan, which checks the call's state itself."""
    return execute("execute_extension", f"{_word(extension)} XML {_word(context)}")


# --- on the standing connection


def status() -> SwitchCommand:
    """The switch's state; the heartbeat of the standing connection."""
    return SwitchCommand("api status")


def show_channels() -> SwitchCommand:
    """All live channels, as JSON."""
    return SwitchCommand("api show channels as json")


def show_channel(uuid: str) -> SwitchCommand:
    """The live channels whose row contains this id, as JSON."""
    return SwitchCommand(f"api show channels like {_uuid(uuid)} as json")


def media_bugs(uuid: str) -> SwitchCommand:
    """The media bugs of a channel, recordings among them."""
    return SwitchCommand(f"api uuid_buglist {_uuid(uuid)}")


def get_variable(uuid: str, name: str) -> SwitchCommand:
    """The value of a channel variable; ``_undef_`` if it is not set.

    Never use ``getvar`` on a call's own socket: its reply is not encoded, so a value with line feeds would
    be read as headers and replies."""
    return SwitchCommand(f"api uuid_getvar {_uuid(uuid)} {_variable(name)}")


def channel_data(uuid: str) -> SwitchCommand:
    """The channel's current event data: header lines, each value encoded as in an event.

    They include the time of the bridge, which no variable holds."""
    return SwitchCommand(f"api uuid_dump {_uuid(uuid)}")


def answer_in_state(uuid: str, name: str, state: str) -> SwitchCommand:
    """Answer a call at once if one of its variables has this value, which the switch checks.

    An ``execute`` waits for the call's own thread, which polls once per media tick (20 ms) until the call has
    media; an API command runs at once in the connection's thread."""
    return SwitchCommand(f"api expand uuid_answer {_in_state(uuid, name, state)}")


def play_to_both(uuid: str, name: str, state: str, sound: Path) -> SwitchCommand:
    """Play a sound to both ends of a call if one of its variables has this value, which the switch checks.

    A sound that is requested while another plays is queued (observed)."""
    return _broadcast(uuid, name, state, sound, "both")


def end_playback(leg: str) -> SwitchCommand:
    """End the sound that plays to a leg; the next one in its queue starts."""
    return SwitchCommand(f"api uuid_break {_uuid(leg)}")


def end_conference_playback(conference: str, member: str = "") -> SwitchCommand:
    """End the sound that plays to a conference, or to one ``member`` of it."""
    to = f" {_member(member)}" if member else ""
    return SwitchCommand(f"api conference {_conference(conference)} stop current{to}")


def play_to(uuid: str, name: str, state: str, leg: str, sound: Path) -> SwitchCommand:
    """Play a sound to ``leg`` alone, if the variable of ``uuid`` has this value."""
    return _broadcast(uuid, name, state, sound, "aleg", _uuid(leg))


def play_in_conference(
    uuid: str, name: str, state: str, conference: str, sound: Path, member: str = ""
) -> SwitchCommand:
    """Play a sound to a conference, or to one ``member`` alone, who does not hear the conference meanwhile,
    if the variable of ``uuid``, a channel in the conference, has this value."""
    value = f"${{uuid_getvar({_uuid(uuid)} {_variable(name)})}}"
    target = f"${{cond({value} == {_word(state)} ? {_conference(conference)} : {_NO_CONFERENCE})}}"
    to = f" {_member(member)} nomux" if member else ""
    return SwitchCommand(f"api expand conference {target} play '{_path(sound)}'{to}")


def play_sound(conference: str, sound: Path, member: str = "") -> SwitchCommand:
    """Play a sound to a conference, or to one ``member`` alone, who does not hear the conference meanwhile.
    It is open when the switch answers, and can be unlinked."""
    to = f" {_member(member)} nomux" if member else ""
    return SwitchCommand(f"api conference {_conference(conference)} play '{_path(sound)}'{to}")


def stop_sounds(conference: str, member: str = "") -> SwitchCommand:
    """End what plays to a conference, or to one ``member`` alone, and what waits to be played."""
    to = f" {_member(member)}" if member else ""
    return SwitchCommand(f"api conference {_conference(conference)} stop all{to}")


def toggle_sound(conference: str) -> SwitchCommand:
    """Pause what plays to a conference (``+OK Pause``), or resume it (``+OK Resume``)."""
    return SwitchCommand(f"api conference {_conference(conference)} pause_play")


def seek_sound(conference: str, position: int) -> SwitchCommand:
    """Continue what plays to a conference at a ``position`` in milliseconds. Only absolute ones are exact
    (observed)."""
    if not 0 <= position <= 1_000_000_000:
        raise _refuse(f"position {position}", "0 to 1000000000 ms")
    return SwitchCommand(f"api conference {_conference(conference)} file_seek {position}")


def let_hear(conference: str, member: str) -> SwitchCommand:
    """Let a member hear the conference."""
    return SwitchCommand(f"api conference {_conference(conference)} undeaf {_member(member)}")


def hang_up_member(conference: str, member: str) -> SwitchCommand:
    """End the call of a member."""
    return SwitchCommand(f"api conference {_conference(conference)} hup {_member(member)}")


def mix_in(uuid: str, name: str, state: str, leg: str, sound: Path) -> SwitchCommand:
    """Mix a sound into what ``leg`` hears, once, if the variable of ``uuid`` has this value."""
    target = _in_state(uuid, name, state, _uuid(leg))
    return SwitchCommand(f"api expand uuid_displace {target} start '{_path(sound)}' 0 m")


def take_aside(uuid: str, leg: str, on: str, sound: Path, answer: int, repeated: bool) -> list[SwitchCommand]:
    """Ask the third party on ``leg`` (``three_way`` on ``on``) with ``sound``, outside the conversation,
    because the switch does not report their keys inside it. ``answer`` milliseconds after the sound they
    return by themselves. ``repeated``: they are outside already. The last command transfers them if the call
    of ``uuid`` is recorded, the third party is where it should be, and the dialplan has the extension, which
    the switch checks."""
    if not 1 <= answer <= 60_000:
        raise _refuse(f"{answer} ms for an answer", "1 to 60000")
    place, there = ("destination_number", ASIDE) if repeated else ("current_application", "three_way")
    state = f"${{uuid_getvar({_uuid(uuid)} accord_state)}}-${{uuid_getvar({_uuid(leg)} {place})}}"
    return [
        put_variable(leg, "accord_beside", _uuid(on)),
        put_variable(leg, "accord_prompt", str(sound)),
        put_variable(leg, "accord_answer", str(answer)),
        SwitchCommand(
            f"api expand uuid_transfer ${{cond({state} == announced-{there} ? {leg} : none)}} "
            "${global_getvar(accord_aside)}"
        ),
    ]


def return_from_aside(leg: str, sound: Path | None) -> list[SwitchCommand]:
    """Return a third party who was taken aside to the conversation, once ``sound`` has been played to
    them."""
    prompt = "accord_prompt"
    return [
        clear_variable(leg, prompt) if sound is None else put_variable(leg, prompt, str(sound)),
        SwitchCommand(f"api expand uuid_transfer {_in_state(leg, 'destination_number', ASIDE)} {_BESIDE}"),
    ]


def direct_caller(leg: str, step: str, direction: CallerDirection | None) -> list[SwitchCommand]:
    """Send a caller to a room where they go next, if they still wait after ``step``, which the switch
    checks; without a direction to where they are told to call later."""
    variables, to = dict[str, str](), "away"
    if direction is not None:
        variables = {"accord_room_sound": direction.sound, "accord_room": direction.room}
        variables |= {"accord_room_address": direction.address, "accord_room_token": direction.token}
        variables[SESSION_VARIABLE], to = direction.session, _word(direction.to)
    target = _in_state(leg, "accord_room_step", step)
    return [
        *(put_variable(leg, name, value) for name, value in variables.items() if value),
        SwitchCommand(f"api expand uuid_transfer {target} accord_room_{to} XML accord_room"),
    ]


ASIDE: Final = "accord_aside"
"""The extension in which a third party is asked for consent."""

_BESIDE: Final = f"accord_beside XML {CONTEXT}"
_NO_CONFERENCE: Final = "accord.no.such.room"


def _broadcast(uuid: str, name: str, state: str, sound: Path, legs: str, to: str = "") -> SwitchCommand:
    target = _in_state(uuid, name, state, to)
    return SwitchCommand(f"api expand uuid_broadcast {target} 'playback::{_path(sound)}' {legs}")


def start_beep(uuid: str, name: str, state: str, leg: str) -> SwitchCommand:
    """Mix a short tone into the audio that ``leg`` hears, every 15 seconds, if the variable of ``uuid`` has
    this value. Idempotent. The tone is not in a recording that began before it (observed; a tone mixed into a
    leg's own voice is)."""
    target = _in_state(uuid, name, state, _uuid(leg))
    return SwitchCommand(f"api expand uuid_displace {target} start {_BEEP} 0 m")


def stop_beep(leg: str) -> SwitchCommand:
    """End the tone of :func:`start_beep`."""
    return SwitchCommand(f"api uuid_displace {_uuid(leg)} stop {_BEEP}")


def play_marker_tone(uuid: str, name: str, state: str, leg: str) -> SwitchCommand:
    """Mix one short tone into the audio that ``leg`` hears, if the variable of ``uuid`` has this value."""
    target = _in_state(uuid, name, state, _uuid(leg))
    return SwitchCommand(f"api expand uuid_displace {target} start {_MARK_TONE} 0 m")


def start_pause_tone(uuid: str, leg: str, seconds: int) -> SwitchCommand:
    """Play the pause tone to ``leg`` for ``seconds``, if the recording of ``uuid`` is paused. The feature
    code for resuming ends it, too."""
    if not 1 <= seconds <= 99_999:
        raise _refuse(f"a tone of {seconds} s", "1 to 99999 seconds")
    target = _in_state(uuid, "accord_paused", "true", _uuid(leg))
    tone = "${global_getvar(accord_pause_tone)}"
    return SwitchCommand(f"api expand uuid_displace {target} start {tone} {seconds} m")


def stop_pause_tone(leg: str) -> SwitchCommand:
    """End the tone of :func:`start_pause_tone`."""
    return SwitchCommand(f"api expand uuid_displace {_uuid(leg)} stop ${{global_getvar(accord_pause_tone)}}")


def pause(uuid: str, path: Path, seconds: int) -> list[SwitchCommand]:
    """Pause an announced recording, as the dialplan's ``accord_pause`` does for a feature code, in order and
    in one write. The end of the pause is scheduled on the switch first. The last command pauses; the switch
    refuses it if there is nothing to pause."""
    group, state = f"{uuid}_pause", _in_state(uuid, "accord_state", "announced")
    return [
        unschedule(group),
        schedule(seconds, group, _unmask(_uuid(uuid), path)),
        schedule(seconds, group, clear_variable(uuid, "accord_paused")),
        SwitchCommand(f"api expand uuid_setvar {state} accord_paused_at ${{strepoch()}}"),
        SwitchCommand(f"api expand uuid_setvar {state} accord_paused true"),
        SwitchCommand(f"api expand uuid_record {state} mask '{_path(path)}'"),
    ]


def undo_pause(uuid: str) -> list[SwitchCommand]:
    """Undo the other commands of :func:`pause` if its last one was refused."""
    return [clear_variable(uuid, "accord_paused"), unschedule(f"{uuid}_pause")]


def resume(uuid: str, path: Path) -> list[SwitchCommand]:
    """Resume a recording, as ``accord_resume`` does. The first command resumes; the switch refuses it if the
    recording is not paused."""
    paused = _in_state(uuid, "accord_paused", "true")
    return [SwitchCommand(f"api expand {_unmask(paused, path).text.partition(' ')[2]}"), *undo_pause(uuid)]


def _unmask(target: str, path: Path) -> SwitchCommand:
    return SwitchCommand(f"api uuid_record {target} unmask '{_path(path)}'")


_MARK_TONE: Final = "tone_stream://v=-20;%(100,100,700)"
_BEEP: Final = "tone_stream://v=-20;%(200,14800,1400);loops=-1"


def change_variable(uuid: str, name: str, old: str, new: str) -> SwitchCommand:
    """Change a channel's variable from ``old`` to ``new``. The switch refuses if it has another value, or if
    the channel does not exist."""
    target = _in_state(uuid, name, old)
    return SwitchCommand(f"api expand uuid_setvar {target} {_variable(name)} {_word(new)}")


def _in_state(uuid: str, name: str, state: str, to: str = "") -> str:
    """Return an expression for the channel ``to`` (by default ``uuid``) if the variable of ``uuid`` has this
    value, else for none."""
    channel, value = _uuid(uuid), _word(state)
    return f"${{cond(${{uuid_getvar({channel} {_variable(name)})}} == {value} ? {to or channel} : none)}}"


def clear_variable(uuid: str, name: str) -> SwitchCommand:
    """Unset a channel variable from outside the call."""
    return SwitchCommand(f"api uuid_setvar {_uuid(uuid)} {_variable(name)}")


def put_variable(uuid: str, name: str, value: str) -> SwitchCommand:
    """Set a channel variable from outside the call."""
    return SwitchCommand(f"api uuid_setvar {_uuid(uuid)} {_variable(name)} {_value(name, value)}")


def record_stop(uuid: str, path: Path) -> SwitchCommand:
    """Stop one recording from outside the call."""
    return SwitchCommand(f"api uuid_record {_uuid(uuid)} stop '{_path(path)}'")


def record_start(uuid: str, name: str, state: str, path: Path, recording: str) -> SwitchCommand:
    """Record a call in two channels from now on, if one of its variables has this value, which the switch
    checks. Its events carry ``recording``."""
    settings = "RECORD_STEREO=true,RECORD_PRE_BUFFER_FRAMES=0,enable_file_write_buffering=false"
    options = f"{{{settings},accord_recording={_uuid(recording)}}}"
    target = _in_state(uuid, name, state)
    return SwitchCommand(f"api expand uuid_record {target} start '{_path(path)}' 0 {options}")


def record_stop_unless(uuid: str, name: str, state: str, path: Path) -> SwitchCommand:
    """Stop one recording, unless the channel's variable has this value, which the switch checks."""
    channel, value = _uuid(uuid), _word(state)
    target = f"${{cond(${{uuid_getvar({channel} {_variable(name)})}} == {value} ? none : {channel})}}"
    return SwitchCommand(f"api expand uuid_record {target} stop '{_path(path)}'")


def schedule(seconds: int, group: str, command: SwitchCommand) -> SwitchCommand:
    """Have the switch run an ``api`` command by itself, ``seconds`` from now (its scheduler may add one).
    :func:`unschedule` cancels a whole ``group``."""
    kind, _, what = command.text.partition(" ")
    if kind != "api" or not 1 <= seconds <= 3600 or what.endswith("&"):
        raise _refuse(f"{command} in {seconds} s", "an api command, in 1 to 3600 seconds")
    return SwitchCommand(f"api sched_api +{seconds} {_uuid(group)} {what}")


def unschedule(group: str) -> SwitchCommand:
    """Cancel all scheduled commands of a group."""
    return SwitchCommand(f"api sched_del {_uuid(group)}")


def call_out(dial: str, number: str, sound: Path, caller: str, seconds: int) -> SwitchCommand:
    """Call an external number, play a sound to the person who answers, and hang up. The switch replies only
    when the call is answered or has failed (``-ERR USER_BUSY``), so this command needs its own connection.

    ``dial`` is the operator's dial string, containing ``{number}`` (``+32…``) or ``{digits}``. It leads
    straight to a gateway and through no dialplan, so the call is neither announced nor recorded. ``caller``
    is the caller number to show (``""``: the gateway's)."""
    return _originate(dial, number, caller, seconds, f"'&playback({_path(sound)})'")


def call_to_room(dial: str, number: str, language: str, caller: str, seconds: int) -> SwitchCommand:
    """Call an external number, and have the person who answers enter their code for a room, as somebody who
    dials the rooms' number does; they are asked for it in a language. The rest as :func:`call_out`."""
    if not _LANGUAGE.fullmatch(language):
        raise _refuse(f"the language {language!r}", "two letters")
    settings = f",{CALLEE_VARIABLE}={number},accord_room_language={language}"
    return _originate(dial, number, caller, seconds, "accord_room_called XML accord_room", settings)


def _originate(dial: str, number: str, caller: str, seconds: int, then: str, more: str = "") -> SwitchCommand:
    if not _CALLEE.fullmatch(number):
        raise _refuse(f"the number {number!r}", "E.164, +32470123456")
    if not 5 <= seconds <= 120:
        raise _refuse(f"ringing for {seconds} s", "5 to 120 seconds")
    if caller and not _CALLER.fullmatch(caller):
        raise _refuse(f"the caller's number {caller!r}", "digits, with or without a plus")
    if not dialable(dial):
        raise _refuse(f"the dial string {dial!r}", "sofia/gateway/<name>/{number}, not through a dialplan")
    where = dial.replace("{number}", number).replace("{digits}", number[1:])
    caller_settings = (
        f",origination_caller_id_number={caller},origination_caller_id_name={caller}" if caller else ""
    )
    settings = f"ignore_early_media=true,originate_timeout={seconds}{caller_settings}{more}"
    return SwitchCommand(f"api originate {{{settings}}}{where} {then}")


def dialable(dial: str) -> bool:
    """Whether this is a valid dial string for external numbers: one endpoint, with one ``{number}`` or
    ``{digits}``, not through a dialplan."""
    return _DIAL.fullmatch(dial) is not None and not dial.startswith("loopback/")


def list_conferences() -> SwitchCommand:
    """All conferences and their members, as JSON; refused if the switch has no mod_conference."""
    return SwitchCommand("api conference json_list")


def module_exists(module: str) -> SwitchCommand:
    """``true`` if the module is loaded."""
    return SwitchCommand(f"api module_exists {_word(module)}")


def locate(section: str, tag: str, attribute: str, value: str) -> SwitchCommand:
    """A section of the running configuration, as XML."""
    words = " ".join(_word(word) for word in (section, tag, attribute, value))
    return SwitchCommand(f"api xml_locate {words}")


def dialplan() -> SwitchCommand:
    """The whole running dialplan, as XML."""
    return SwitchCommand("api xml_locate dialplan")


def global_variable(name: str) -> SwitchCommand:
    """The value of a global variable (``run_dir``: the folder of the switch's process id); refused if it does
    not exist."""
    return SwitchCommand(f"api global_getvar {_variable(name)}")


def set_global_variable(name: str, value: str) -> SwitchCommand:
    """Set a global variable of the switch, until it ends; the value is kept out of logs."""
    return SwitchCommand(f"api global_setvar {_variable(name)}={_word(value)}", secret=True)


def file_exists(path: Path) -> SwitchCommand:
    """``true`` if the switch finds a file of this name."""
    return SwitchCommand(f"api file_exists {_path(path)}")


# --- argument validation

_SUBCLASS = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_UUID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")
_WORD = re.compile(r"[A-Za-z0-9_.*+-]{1,80}")
_VALUE = re.compile(r"[^\x00-\x1f\x7f$'\"\\{}`]{0,1024}")
_CALLEE = re.compile(r"\+[1-9][0-9]{5,14}", re.ASCII)
_CALLER = re.compile(r"\+?[0-9]{3,15}", re.ASCII)
_DIAL_PART = r"[A-Za-z0-9_.:/@;=+*-]"
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)
_DIAL = re.compile(rf"[a-z_]{{2,20}}/{_DIAL_PART}{{0,150}}\{{(?:number|digits)\}}{_DIAL_PART}{{0,150}}")
_MEMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_PATH = re.compile(r"/[\w/ .+@=-]{1,500}")


def _refuse(what: str, allowed: str) -> SwitchError:
    return SwitchError("switch.argument", f"{what} cannot be sent to the switch", f"allowed: {allowed}")


def _one_line(what: str, text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise _refuse(what, "one line")
    return text


def addressable(uuid: str) -> bool:
    """Whether a command can address the channel with this id. FreeSWITCH assigns UUIDs, but can let callers
    (``inbound-use-callid-as-uuid``) and applications (``origination_uuid``) choose other ids."""
    return _UUID.fullmatch(uuid) is not None


def _uuid(uuid: str) -> str:
    if not addressable(uuid):
        raise _refuse(f"channel id {uuid!r}", "letters, digits, '.', '_' and '-'")
    return uuid


def _variable(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _refuse(f"variable {name!r}", "letters, digits, '_', '.' and '-'")
    return name


def _value(name: str, value: str) -> str:
    # Without '$' nothing is expanded, without quotes and backslashes no argument moves.
    # The pattern excludes ASCII control characters; isprintable() the others, such as line separators.
    if not _VALUE.fullmatch(value) or not value.isprintable():
        raise _refuse(f"the value of {name}", "no control characters, quotes, backslashes, braces or '$'")
    return value


def _word(word: str) -> str:
    if not _WORD.fullmatch(word):
        raise _refuse(f"{word!r}", "letters, digits, '_', '.', '*', '+' and '-'")
    return word


def _conference(name: str) -> str:
    if not _WORD.fullmatch(name):
        raise _refuse(f"the conference {name!r}", "letters, digits, '_', '.', '*', '+' and '-'")
    return name


def _member(number: str) -> str:
    if not _MEMBER.fullmatch(number):
        raise _refuse(f"member {number!r}", "a number")
    return number


def _path(path: Path) -> str:
    text = str(path)
    if not _PATH.fullmatch(text) or ".." in path.parts or text != text.strip():
        raise _refuse(f"path {text!r}", "an absolute path of letters, digits, spaces and / . _ + @ = -")
    return text
