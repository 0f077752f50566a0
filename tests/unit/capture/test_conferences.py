"""Conferences and third parties: their events for the calls in them, and the commands, each sent once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest

from recorder.call import initial
from recorder.capture import conferences
from recorder.capture.call_controller import CallController
from recorder.capture.conferences import Conferences
from recorder.domain import call_events
from recorder.domain.call_plan import ALONE, BOTH, OPT_IN, CallPlan, Script, TransferNoticeScript
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool.layout import read_markers
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState
from tests.greenlets import wait_idle
from tests.unit.capture.controllers import control
from tests.unit.capture.test_transfer_target import AT, SOUND
from tests.unit.switch.test_conference_events import event


@pytest.fixture(autouse=True)
def wait_for_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(conferences, "NOTICE_DELAY", 0.0)
    yield
    wait_idle()


def settle() -> None:
    """Let the greenlets go on until each of them waits for a longer time, however slow the machine is."""
    for _ in range(10):
        gevent.sleep(0.001)


class Switch:
    """Answers from its attributes; ``legs`` has the data of each leg. ``meanwhile`` happens during each
    query."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.queries: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.rows: list[dict[str, str]] = []
        self.legs: dict[str, dict[str, str]] = {}
        self.external: dict[str, str] = {}
        self.bugs = ""

    def ask(self, command: SwitchCommand) -> str:
        words = str(command).split()
        self.queries.append(str(command))
        self.meanwhile()
        if words[1] == "show":
            return json.dumps({"rows": self.rows})
        if words[1] == "uuid_buglist":
            return self.bugs
        if words[1] == "uuid_getvar":
            return self.external.get(words[2], "_undef_") if words[3] == "accord_external" else "_undef_"
        if words[2] not in self.legs:
            raise SwitchError("switch.refused", "-ERR No such channel!", "try again")
        return "".join(f"{name}: {value}\n" for name, value in self.legs[words[2]].items())

    def send(self, command: SwitchCommand) -> None:
        self.commands.append(str(command))


class LiveCalls:
    """Live calls, each with an internal leg ``b-…`` at its other end, and their conferences."""

    def __init__(self, root: Path) -> None:
        self.root, self.switch, self.calls = root, Switch(), dict[str, CallController]()
        self.conferences = Conferences(self.calls, self.switch.ask, self.switch.send, lambda: AT)

    def call(
        self,
        channel: str,
        how: str = ALONE,
        connected: bool = True,
        asks: bool = False,
        has_notice: bool = True,
    ) -> CallController:
        notes = [
            Marker(AT, "recording_started"),
            Marker(AT, "announcement_finished"),
            Marker(AT, "bridged", {"party": "extension", "value": "200", "leg": f"b-{channel}"}),
        ]
        notice = TransferNoticeScript(SOUND, how, SOUND if asks else None) if has_notice else None
        plan = CallPlan(OPT_IN if asks else "notice", (Script(SOUND, transfer_notice=notice),))
        ident = f"01a2101e-5dde-7d17-8d61-e2a8e19669f{len(self.calls)}"
        start = {"recording": ident, "channel": channel}
        controller = control(
            self.root, initial.resume(plan, notes, AT), AT, start,
            to_switch=self.switch.send, ask=self.switch.ask,
            play_notice=self.conferences.play_notice, cut_notice=self.conferences.cut_notice,
            return_participants=self.conferences.return_participants,
        )  # fmt: skip
        self.calls[channel] = controller
        if connected:
            controller.feed(call_events.LegBridged(AT, party=Party("extension", "200"), other=f"b-{channel}"))
        return controller

    def member(self, action: str, leg: str, number: str, caller: str = "300", **more: str) -> None:
        headers = {"Unique-ID": leg, "Caller-Direction": "inbound", "Caller-Caller-ID-Number": caller}
        self.conferences.handle_event(event(action, **headers, **{"Member-ID": number}, **more))
        settle()

    def media_bug(self, name: str, leg: str, function: str, target: str = "") -> None:
        headers = {
            "Event-Name": name, "Event-Date-Timestamp": "1795647361617992", "Unique-ID": leg,
            "Media-Bug-Function": function, "Media-Bug-Target": target,
        }  # fmt: skip
        self.conferences.handle_event(
            EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())
        )
        settle()

    def end(self) -> None:
        for call in self.calls.values():
            call.feed(call_events.ChannelGone(AT, hangup=True))

    def notices(self) -> list[str]:
        return [command for command in self.switch.commands if " play " in command]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveCalls]:
    calls = LiveCalls(tmp_path)
    yield calls
    calls.end()


def enter(live: LiveCalls, channel: str, number: str) -> None:
    live.calls[channel].feed(call_events.LegUnbridged(AT, other=f"b-{channel}"))
    live.member("add-member", channel, number)


def names(call: CallController) -> list[str]:
    return [one.leg for one in call.state.conference.participants]


@contextmanager
def events_of(call: CallController) -> Iterator[list[call_events.CallEvent]]:
    """The events that a call is fed, without effect on it; its timer's are left out."""
    events: list[call_events.CallEvent] = []

    def note(event: call_events.CallEvent) -> None:
        if not isinstance(event, call_events.DeadlinePassed):
            events.append(event)

    call.feed = note  # type: ignore[method-assign]
    try:
        yield events
    finally:
        del call.feed


def no_answer() -> None:
    raise SwitchError("switch.timeout", "no answer in time", "try again")


def test_conference_members_are_participants_and_hear_the_notice(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "b-a", "2", "200")
    live.member("add-member", "c", "3")
    assert names(call) == ["b-a", "c"]
    (notice,) = live.notices()
    assert notice.endswith(f"? room : accord.no.such.room)}} play '{SOUND.path}' 3 nomux")
    assert "uuid_getvar(a accord_state)} == announced" in notice, (
        "the switch checks whether the call is recorded"
    )
    live.member("del-member", "c", "3")
    assert names(call) == ["b-a"]
    live.member("del-member", "a", "1")
    assert (call.state.conference.name, names(call)) == ("", [])


def test_two_calls_in_a_conference_share_one_notice(live: LiveCalls) -> None:
    one, two = live.call("a", BOTH), live.call("o", BOTH)
    for number, channel in enumerate(("a", "o")):
        live.calls[channel].feed(call_events.LegUnbridged(AT, other=f"b-{channel}"))
        live.conferences.handle_event(event("add-member", **{"Unique-ID": channel, "Member-ID": str(number)}))
    settle()
    live.member("add-member", "c", "3")
    assert len(live.notices()) == 1
    assert live.notices()[0].endswith(f"play '{SOUND.path}'")
    live.conferences.handle_event(event("play-file", File=SOUND.path))
    later = event("play-file-done", File=SOUND.path).raw.replace(b"1795647361617992", b"1795647363617992")
    live.conferences.handle_event(EslEvent(b"\n" + later))
    assert {"leg:c"} <= one.state.transfer.informed & two.state.transfer.informed
    # A third call joins: the member is not notified again.
    third = live.call("x", BOTH)
    enter(live, "x", "9")
    assert names(third) == ["a", "o", "c"]
    assert "leg:c" in third.state.transfer.informed
    assert len(live.notices()) == 1


def test_member_who_did_not_hear_the_notice_is_notified_in_the_next_call(live: LiveCalls) -> None:
    live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "c", "3")
    live.member("add-member", "d", "4", "400")
    played = {"File": SOUND.path, "Member-ID": "3", "Unique-ID": "c"}
    live.conferences.handle_event(event("play-file-member", **played))
    end = event("play-file-member-done", **played).raw.replace(b"1795647361617992", b"1795647363617992")
    live.conferences.handle_event(EslEvent(b"\n" + end))
    _, participants = live.conferences.participants_of("a")
    assert {each.leg: each.sounds_heard for each in participants} == {
        "c": frozenset({SOUND.path}),
        "d": frozenset(),
    }
    assert participants[0].party == Party("extension", "300")


def test_unaddressable_conference_plays_no_notice(live: LiveCalls) -> None:
    call = live.call("a")
    odd = {"Conference-Name": "the%20room%20${system(x)}"}
    call.feed(call_events.LegUnbridged(AT, other="b-a"))
    live.member("add-member", "a", "1", **odd)
    live.member("add-member", "c", "3", **odd)
    assert live.notices() == []
    assert names(call) == ["c"]


def test_ignores_conferences_without_a_recorded_call(live: LiveCalls) -> None:
    live.member("add-member", "y", "1")
    live.member("add-member", "z", "2")
    live.member("del-member", "y", "1")
    live.member("del-member", "z", "2")
    assert live.switch.commands == []
    assert live.conferences.participants_of("z") == ("", ())


def test_third_party_is_identified_and_hears_the_notice(
    live: LiveCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ARRIVAL_QUERIES", (0.0, 0.01))
    call = live.call("a")
    live.switch.legs["c"] = {"Caller-Direction": "outbound", "Caller-Destination-Number": "300"}
    live.switch.rows = [{"uuid": "c", "application": "three_way", "application_data": "b-a"}]
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.1)
    assert names(call) == ["c"]
    assert call.state.conference.participants[0].party == Party("extension", "300")
    (mixed,) = [command for command in live.switch.commands if "uuid_displace" in command]
    assert mixed.endswith(f"? c : none)}} start '{SOUND.path}' 0 m")
    live.media_bug("MEDIA_BUG_START", "c", "displace", SOUND.path)
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.started_at is not None
    del live.switch.legs["c"]
    live.media_bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert names(call) == []


class ThirdParty:
    """A third party ``c`` on the internal leg, on a line with consent for joining."""

    def __init__(self, live: LiveCalls, how: str = ALONE) -> None:
        self.live, self.call = live, live.call("a", how, asks=True)
        live.switch.legs["c"] = {"Caller-Direction": "outbound", "Caller-Destination-Number": "300"}
        live.switch.rows = [{"uuid": "c", "application": "three_way", "application_data": "b-a"}]
        live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
        gevent.sleep(0.1)

    def transfers(self) -> list[str]:
        return [one for one in self.live.switch.commands if "uuid_transfer" in one]

    def hear_question(self, complete: bool = True) -> None:
        for name, seconds in (("PLAYBACK_START", 0), ("PLAYBACK_STOP", 4 if complete else 1)):
            self.event(name, seconds, **{
                "Playback-File-Path": SOUND.path, "Playback-Status": "done" if complete else "break"
            })  # fmt: skip

    def event(self, name: str, seconds: int = 0, leg: str = "c", **more: str) -> None:
        at = 1795647361617992 + seconds * 1_000_000
        headers = {"Event-Name": name, "Event-Date-Timestamp": str(at), "Unique-ID": leg, **more}
        event_of_member = EslEvent(
            ("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode()
        )
        (
            self.live.conferences.handle_hangup
            if "HANGUP" in name
            else self.live.conferences.handle_talk_event
        )(event_of_member)
        settle()


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conferences, "ARRIVAL_QUERIES", (0.0, 0.01))
    monkeypatch.setattr(conferences, "DEPARTURE_QUERIES", (0.0,))


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("how", [ALONE, BOTH])
def test_third_party_is_asked_aside_and_returns(live: LiveCalls, how: str) -> None:
    third = ThirdParty(live, how)
    *variables, transfer = [one for one in live.switch.commands if "uuid_broadcast" not in one]
    assert variables == [
        "api uuid_setvar c accord_beside b-a",
        f"api uuid_setvar c accord_prompt {SOUND.path}",
        "api uuid_setvar c accord_answer 9000",
    ]
    assert transfer == (
        "api expand uuid_transfer ${cond(${uuid_getvar(a accord_state)}-${uuid_getvar(c current_application)}"
        " == announced-three_way ? c : none)} ${global_getvar(accord_aside)}"
    )
    assert len([one for one in live.switch.commands if "uuid_broadcast" in one]) == (how == BOTH)
    live.media_bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert names(third.call) == ["c"], "the third party comes back"
    third.hear_question()
    assert third.call.state.transfer.target is not None
    assert third.call.state.transfer.target.question_heard
    assert len(third.transfers()) == 1
    third.event("DTMF", 5, **{"DTMF-Digit": "1", "DTMF-Source": "RTP"})
    assert "leg:c" in third.call.state.transfer.informed
    assert live.switch.commands[-2:] == [
        "api uuid_setvar c accord_prompt",
        "api expand uuid_transfer ${cond(${uuid_getvar(c destination_number)} == accord_aside ? c : none)}"
        " accord_beside XML accord",
    ]
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.05)
    assert names(third.call) == ["c"]
    assert len(third.transfers()) == 2
    live.switch.legs["c"] |= {"variable_current_application": "three_way"}
    live.media_bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert names(third.call) == [], "the third party has left"


@pytest.mark.usefixtures("no_delays")
def test_refusing_third_party_hears_the_refusal_aside(live: LiveCalls) -> None:
    third = ThirdParty(live)
    third.hear_question()
    third.event("DTMF", 5, **{"DTMF-Digit": "2", "DTMF-Source": "RTP"})
    assert third.call.state.recording.over
    assert live.switch.commands[-2] == f"api uuid_setvar c accord_prompt {SOUND.path}"
    assert "accord_beside XML accord" in live.switch.commands[-1]
    assert len(third.transfers()) == 2
    assert not [one for one in live.switch.commands if "uuid_displace" in one]


@pytest.mark.usefixtures("no_delays")
def test_repeated_question_keeps_the_third_party_aside(live: LiveCalls) -> None:
    third = ThirdParty(live)
    third.hear_question()
    third.event("DTMF", 5, **{"DTMF-Digit": "7", "DTMF-Source": "RTP"})
    assert len(third.transfers()) == 2
    assert "uuid_getvar(c destination_number)} == announced-accord_aside" in third.transfers()[-1]


@pytest.mark.usefixtures("no_delays")
def test_third_party_hangs_up_during_the_question(live: LiveCalls) -> None:
    third = ThirdParty(live)
    third.event("CHANNEL_HANGUP_COMPLETE", leg="somebody")
    assert names(third.call) == ["c"]
    third.event("CHANNEL_HANGUP_COMPLETE")
    assert names(third.call) == []
    assert len(third.transfers()) == 1
    assert live.conferences.participants_of("a") == ("", ())


@pytest.mark.usefixtures("no_delays")
def test_hold_returns_the_third_party(live: LiveCalls) -> None:
    third = ThirdParty(live)
    third.call.feed(call_events.HoldStarted(AT, leg=call_events.INTERNAL))
    settle()
    assert "accord_beside XML accord" in third.transfers()[-1]
    assert len(third.transfers()) == 2


@pytest.mark.usefixtures("no_delays")
def test_unaddressable_third_party_is_not_moved(live: LiveCalls) -> None:
    call = live.call("a", asks=True)
    live.switch.rows = [{"uuid": "c ${system(x)}", "application": "three_way", "application_data": "b-a"}]
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.1)
    assert names(call) == ["c ${system(x)}"]
    assert live.switch.commands == []
    assert call.state.timer.deadline is not None, "the wait has no time limit"


def markers(live: LiveCalls, channel: str) -> list[tuple[str, dict[str, str]]]:
    """Return the markers about supervisors and participants."""
    live.calls[channel].writer.flush(5)
    found = read_markers(live.calls[channel].writer.folder)
    return [
        (one.kind, dict(one.data))
        for one in found
        if one.kind.startswith(("supervisor_", "transfer_", "participant_"))
    ]


WHO = {"party": "extension", "value": "300", "leg": "c"}


def test_supervisor_is_marked_and_notified_when_audible(
    live: LiveCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ARRIVAL_QUERIES", (0.0, 0.01))
    monkeypatch.setattr(conferences, "DEPARTURE_QUERIES", (0.0,))
    call = live.call("a")
    live.switch.legs["c"] = {
        "Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300",
        "variable_current_application": "eavesdrop", "variable_current_application_data": "b-a",
    }  # fmt: skip
    live.switch.rows = [{"uuid": "c", "application": "eavesdrop", "application_data": "b-a"}]
    live.conferences.handle_key(key("c", "3"))  # before, on another call
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    live.media_bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")  # of another supervisor
    assert names(call) == []
    assert live.switch.commands == []
    for key_, leg in (("2", "c"), ("2", "b-a"), ("*", "c"), ("1", "c")):
        live.conferences.handle_key(key(leg, key_))
    gevent.sleep(0.05)
    assert names(call) == ["c"]
    (mixed,) = [command for command in live.switch.commands if "uuid_displace" in command]
    assert f"start '{SOUND.path}' 0 m" in mixed
    live.media_bug("MEDIA_BUG_START", "c", "displace", SOUND.path)
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.started_at is not None
    live.conferences.handle_key(key("c", "0"))
    assert names(call) == []
    del live.switch.legs["c"]
    live.media_bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    third = {**WHO, "who": "internal", "how": "third"}
    assert [
        one
        for one in markers(live, "a")
        if one[0] not in ("transfer_notice_started", "transfer_notice_interrupted")
    ] == [
        ("supervisor_joined", WHO),
        ("supervisor_heard", {**WHO, "heard_by": "internal"}),
        ("supervisor_heard", {**WHO, "heard_by": "external", "channel": "right"}),
        ("participant_joined", third),
        ("supervisor_heard", {**WHO, "heard_by": "nobody"}),
        ("participant_left", third),
        ("supervisor_left", WHO),
    ]


def test_remembers_a_key_pressed_before_identification(
    live: LiveCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ARRIVAL_QUERIES", (0.0, 0.0))
    call = live.call("a")
    live.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300"}
    row = {"uuid": "c", "application": "eavesdrop", "application_data": "a"}

    def press_keys() -> None:
        live.switch.meanwhile = lambda: None
        for pressed in ("7", "1", "2", "*"):
            live.conferences.handle_key(key("c", pressed))
        gevent.spawn(live.switch.rows.append, row)  # after the answer

    live.switch.meanwhile = press_keys
    live.media_bug("MEDIA_BUG_START", "a", "eavesdrop", "a")
    assert [one.heard_by for one in call.state.supervisors] == ["external"]
    assert markers(live, "a")[1:] == [("supervisor_heard", {**WHO, "heard_by": "external"})]


def test_supervisor_without_keys_and_unidentified_supervisor(
    live: LiveCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ARRIVAL_QUERIES", (0.0, 0.01))
    monkeypatch.setattr(conferences, "DEPARTURE_QUERIES", (0.0,))
    live.call("a")
    live.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300",
                              "variable_eavesdrop_enable_dtmf": "false"}  # fmt: skip
    live.switch.rows = [{"uuid": "c", "application": "eavesdrop", "application_data": "a"}]
    live.media_bug("MEDIA_BUG_START", "a", "eavesdrop", "a")
    live.conferences.handle_key(key("c", "3"))
    live.switch.rows = [{"uuid": "d", "application": "eavesdrop", "application_data": "all"}]
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.05)
    assert markers(live, "a") == [("supervisor_joined", WHO)], "nothing is attached any longer"
    live.switch.bugs = "<function>eavesdrop</function>"
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.05)
    live.media_bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert markers(live, "a")[1:] == [
        ("supervisor_joined", {"leg": "on:b-a"}),
        ("supervisor_left", {"leg": "on:b-a"}),
    ]


def test_reconcile_restores_participants_and_supervisors(live: LiveCalls) -> None:
    live.call("a", connected=False)
    live.call("o", connected=False)
    live.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300"}
    live.switch.legs["b"] = {"variable_bridge_uuid": "o"}
    live.switch.legs["d"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "400"}
    live.switch.legs["o"] = {"variable_accord_state": "announced"}
    rows = (("id-of-room", "room", {"a": "1", "c": "3"}),)
    live.conferences.reconcile(LiveState({}, rows, {"b": ["d"]}, {"o": ["e"], "gone": ["f"]}))
    name, participants = live.conferences.participants_of("a")
    assert (name, [(one.leg, one.party) for one in participants]) == (
        "room",
        [("c", Party("extension", "300"))],
    )
    name, participants = live.conferences.participants_of("o")
    assert (name, [(one.leg, one.party) for one in participants]) == ("", [("d", Party("extension", "400"))])
    assert [one.leg for one in live.conferences.supervisors_of("o")] == ["e"]
    assert live.conferences.supervisors_of("a") == ()


def test_unannounced_external_participant_ends_the_take(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "b-a", "2", "200")
    live.switch.external["p"] = "true"
    live.member("add-member", "p", "3", "+32470123456")
    assert call.state.recording.over, "they were not notified"
    assert any(command.startswith("api uuid_record a stop ") for command in live.switch.commands)
    assert call.state.conference.participants[-1].external


def key(leg: str, digit: str) -> EslEvent:
    headers = {
        "Event-Name": "DTMF", "Event-Date-Timestamp": "1795647361617992", "Unique-ID": leg,
        "DTMF-Digit": digit, "DTMF-Source": "RTP",
    }  # fmt: skip
    return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())


def test_key_in_a_conference_reaches_the_asking_call(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "b-a", "2", "200")
    live.member("add-member", "c", "3")
    with events_of(call) as events:
        for leg in ("b-a", "a", "somebody"):
            live.conferences.handle_key(key(leg, "1"))
        live.conferences.handle_key(key("c", "no key"))
        assert events == []
        live.conferences.handle_key(key("c", "1"))
    assert [(type(one), one.key, one.leg, one.other) for one in events] == [
        (call_events.KeyPressed, "1", call_events.INTERNAL, "c")
    ]


def test_supervisors_key_in_a_conference_counts_once(
    live: LiveCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ARRIVAL_QUERIES", (0.0,))
    call = live.call("a")
    enter(live, "a", "1")
    live.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300"}
    live.switch.rows = [{"uuid": "c", "application": "eavesdrop", "application_data": "a"}]
    live.media_bug("MEDIA_BUG_START", "a", "eavesdrop", "a")
    live.conferences.handle_key(key("c", "3"))
    settle()
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "c"
    with events_of(call) as events:
        live.conferences.handle_key(key("c", "5"))
    assert [type(one) for one in events] == [call_events.KeyPressed]


@pytest.mark.parametrize(("how", "to"), [(ALONE, " 3"), (BOTH, "")])
def test_refusal_in_a_conference_ends_the_question(live: LiveCalls, how: str, to: str) -> None:
    call = live.call("a", how, asks=True)
    enter(live, "a", "1")
    live.member("add-member", "b-a", "2", "200")
    live.member("add-member", "c", "3")
    assert len(live.notices()) == 1
    start_action = "play-file" if how == BOTH else "play-file-member"
    live.conferences.handle_event(
        event(start_action, File=SOUND.path, **{"Unique-ID": "c", "Member-ID": "3"})
    )
    call.feed(call_events.KeyPressed(AT, leg=call_events.INTERNAL, other="c", key="2"))
    settle()
    end = f"api conference room stop current{to}"
    commands = [command for command in live.switch.commands if "conference " in command]
    question, refusal = live.notices()
    assert commands == [question, end, refusal]


def test_unaddressable_conference_ends_no_sound(live: LiveCalls) -> None:
    call = live.call("a", asks=True)
    call.feed(call_events.LegUnbridged(AT, other="b-a"))
    live.member("add-member", "a", "1", **{"Conference-Name": "the%20room"})
    live.conferences.cut_notice(call, "a")
    live.conferences.cut_notice(call, "nobody")
    settle()
    assert not any("stop current" in each for each in live.switch.commands)


EVENT_AT = event("").at
LOUNGE = {"Conference-Unique-ID": "id-of-lounge", "Conference-Name": "lounge"}


def test_unknown_conferences_and_members_change_nothing(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "c", "3")
    before = call.state
    live.member("del-member", "c", "3", **LOUNGE)
    live.member("del-member", "d", "4")
    live.conferences.handle_event(event("play-file", File=SOUND.path, **LOUNGE))
    live.conferences.handle_event(event("mute-member", **{"Unique-ID": "c", "Member-ID": "3"}))
    assert call.state == before


def test_reconciled_member_does_not_join_again(live: LiveCalls) -> None:
    call = live.call("a")
    live.conferences.reconcile(LiveState({}, (("id-of-room", "room", {"a": "1", "c": "3"}),)))
    with events_of(call) as events:
        live.member("add-member", "c", "3")
        live.member("add-member", "d", "4", "400")
    assert events == [
        call_events.ParticipantsJoined(EVENT_AT, (call_events.Participant("d", Party("extension", "400")),))
    ]


def departure(leg: str, number: str) -> EslEvent:
    return event("del-member", **{"Unique-ID": leg, "Member-ID": number})


def test_members_are_participants_though_the_switch_cannot_be_asked(live: LiveCalls) -> None:
    call = live.call("a")
    live.conferences.reconcile(LiveState({}, (("id-of-room", "room", {"c": "3", "d": "4"}),)))

    def lose_connection() -> None:
        live.conferences.handle_event(departure("d", "4"))
        no_answer()

    live.switch.meanwhile = lose_connection
    with events_of(call) as events:
        live.member("add-member", "a", "1")
    assert events[-1] == call_events.ConferenceJoined(EVENT_AT, "room", (call_events.Participant("c"),))


def test_members_who_leave_during_a_query_are_no_participants(live: LiveCalls) -> None:
    live.call("a", connected=False)
    numbers = {"a": "1", "c": "3", "d": "4", "e": "5"}
    live.conferences.reconcile(LiveState({}, (("id-of-room", "room", numbers),)))
    party = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300"}
    live.switch.legs = dict.fromkeys("cde", party)

    def leave() -> None:
        live.switch.meanwhile = lambda: None
        live.conferences.handle_event(departure("c", "3"))
        live.conferences.handle_event(departure("d", "4"))

    live.switch.meanwhile = leave
    room = ("room", (call_events.Participant("e", Party("extension", "300")),))
    assert live.conferences.participants_of("a") == room
    assert live.conferences.participants_of("a") == room, "nor later"


def test_sound_to_another_member_does_not_notify_the_target(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "c", "3")
    live.member("add-member", "d", "4", "400")
    played = {"File": SOUND.path, "Member-ID": "4", "Unique-ID": "d"}
    live.conferences.handle_event(event("play-file-member", **played))
    assert call.state.transfer.target is not None
    assert (call.state.transfer.target.leg, call.state.transfer.target.started_at) == ("c", None)


@pytest.mark.parametrize(("how", "action"), [(ALONE, "play-file-member"), (BOTH, "play-file")])
def test_notice_is_requested_again_once_it_is_over(live: LiveCalls, how: str, action: str) -> None:
    call = live.call("a", how)
    enter(live, "a", "1")
    live.member("add-member", "c", "3")
    played = {"File": SOUND.path, "Member-ID": "3", "Unique-ID": "c"}

    def request_notice() -> int:
        live.conferences.play_notice(call, "c", SOUND)
        settle()
        return len(live.notices())

    with events_of(call):
        assert request_notice() == 1
        live.conferences.handle_event(event(action, **played))
        assert request_notice() == 1, "it plays now"
        live.conferences.handle_event(event(f"{action}-done", **played))
        assert request_notice() == 2


def test_departure_leaves_the_other_members_notices(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.member("add-member", "c", "3")
    live.member("add-member", "d", "4", "400")
    live.conferences.play_notice(call, "d", SOUND)
    settle()
    assert len(live.notices()) == 2
    live.member("del-member", "c", "3")
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "d"
    live.conferences.play_notice(call, "d", SOUND)
    settle()
    assert len(live.notices()) == 2, "it is requested already"


def test_each_call_has_its_own_conference(live: LiveCalls) -> None:
    one, two = live.call("a"), live.call("o")
    enter(live, "a", "1")
    two.feed(call_events.LegUnbridged(AT, other="b-o"))
    live.member("add-member", "o", "7", **LOUNGE)
    live.member("add-member", "c", "8", **LOUNGE)
    assert (names(one), names(two)) == ([], ["c"])
    (notice,) = live.notices()
    assert "? lounge :" in notice
    live.conferences.cut_notice(two, "c")
    settle()
    assert live.switch.commands[-1] == "api conference lounge stop current 8"


def test_nobody_is_notified_in_a_conference_they_are_not_in(live: LiveCalls) -> None:
    call = live.call("a")
    enter(live, "a", "1")
    live.conferences.play_notice(call, "c", SOUND)
    live.conferences.reconcile(LiveState({}))
    live.conferences.play_notice(call, "a", SOUND)
    settle()
    assert live.notices() == []


def test_line_without_a_notice_plays_none(live: LiveCalls) -> None:
    call = live.call("a", has_notice=False)
    enter(live, "a", "1")
    live.member("add-member", "c", "3")
    live.conferences.play_notice(call, "c", SOUND)
    live.conferences.cut_notice(call, "c")
    settle()
    assert names(call) == ["c"]
    assert not any("conference" in each for each in live.switch.commands)
