"""What conferences and third parties are to the calls in them, and what is ordered: each thing once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from recorder.call import initial
from recorder.call.state import WriteMark
from recorder.capture import conferences
from recorder.capture.call_controller import CallController
from recorder.capture.conferences import Conferences
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_events import (
    INTERNAL,
    CallEvent,
    ChannelGone,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegUnbridged,
)
from recorder.domain.call_plan import ALONE, BOTH, OPT_IN, CallPlan, Script, TransferNoticeScript
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool.layout import CallStart, read_marks
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Live
from tests.unit.capture.test_joiners import AT, SOUND
from tests.unit.switch.test_rooms import event


@pytest.fixture(autouse=True)
def nothing_is_left_to_write(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(conferences, "LEAD", 0.0)
    yield
    gevent.wait(timeout=20)


class Switch:
    """Answers with what a test has put there; a leg's data by its id."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.legs: dict[str, dict[str, str]] = {}
        self.outside: dict[str, str] = {}
        self.bugs = ""

    def ask(self, command: SwitchCommand) -> str:
        words = str(command).split()
        if words[1] == "show":
            return json.dumps({"rows": self.rows})
        if words[1] == "uuid_buglist":
            return self.bugs
        if words[1] == "uuid_getvar":
            return self.outside.get(words[2], "_undef_") if words[3] == "accord_outside" else "_undef_"
        if words[2] not in self.legs:
            raise SwitchError("switch.refused", "-ERR No such channel!")
        return "".join(f"{name}: {value}\n" for name, value in self.legs[words[2]].items())

    def tell(self, command: SwitchCommand) -> None:
        self.told.append(str(command))


class House:
    """Calls that go on, each with a colleague ``b-…`` at its other end, and the rooms they know of."""

    def __init__(self, root: Path) -> None:
        self.root, self.switch, self.calls = root, Switch(), dict[str, CallController]()
        self.rooms = Conferences(self.calls, self.switch.ask, self.switch.tell, lambda: AT)

    def call(
        self, channel: str, how: str = ALONE, connected: bool = True, asks: bool = False
    ) -> CallController:
        notes = [
            WriteMark("recording_started", AT),
            WriteMark("announcement_finished", AT),
            WriteMark("bridged", AT, (("party", "extension"), ("value", "200"), ("leg", f"b-{channel}"))),
        ]
        notice = TransferNoticeScript(SOUND, how, SOUND if asks else None)
        plan = CallPlan(OPT_IN if asks else "notice", (Script(SOUND, transfer_notice=notice),))
        ident = f"01a2101e-5dde-7d17-8d61-e2a8e19669f{len(self.calls)}"
        start = CallStart(
            ident, "t", "l", "100", "inbound", "n", channel, Party("withheld", ""), AT, ("opus",), None
        )
        writer = SpoolWriter(self.root, ident, lambda error: None)
        made = CallController(
            start, initial.resume(plan, notes, AT), writer, now=lambda: AT, to_call=list,
            to_switch=self.switch.tell, ask=self.switch.ask, ended=lambda call: None,
            tell_in_room=self.rooms.tell, cut_in_room=self.rooms.cut, let_back=self.rooms.let_back,
        )  # fmt: skip
        writer.open(start)
        self.calls[channel] = made
        if connected:
            made.feed(LegBridged(AT, party=Party("extension", "200"), other=f"b-{channel}"))
        return made

    def member(self, action: str, leg: str, number: str, caller: str = "300", **more: str) -> None:
        said = {"Unique-ID": leg, "Caller-Direction": "inbound", "Caller-Caller-ID-Number": caller}
        self.rooms.event(event(action, **said, **{"Member-ID": number}, **more))
        gevent.sleep(0.02)

    def bug(self, name: str, leg: str, function: str, target: str = "") -> None:
        headers = {
            "Event-Name": name, "Event-Date-Timestamp": "1795647361617992", "Unique-ID": leg,
            "Media-Bug-Function": function, "Media-Bug-Target": target,
        }  # fmt: skip
        self.rooms.event(
            EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())
        )
        gevent.sleep(0.02)

    def over(self) -> None:
        for call in self.calls.values():
            call.feed(ChannelGone(AT, ending=True))

    def played(self) -> list[str]:
        return [command for command in self.switch.told if " play " in command]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.over()


def enter(house: House, channel: str, number: str) -> None:
    house.calls[channel].feed(LegUnbridged(AT, other=f"b-{channel}"))
    house.member("add-member", channel, number)


def names(call: CallController) -> list[str]:
    return [one.leg for one in call.state.conference.participants]


def test_a_call_in_a_room_is_told_of_everybody_and_who_joins_is_told_by_their_number(house: House) -> None:
    call = house.call("a")
    enter(house, "a", "1")
    house.member("add-member", "b-a", "2", "200")
    house.member("add-member", "c", "3")
    assert names(call) == ["b-a", "c"]
    (played,) = house.played()
    assert played.endswith(f"? room : accord.no.such.room)}} play '{SOUND.path}' 3 nomux")
    assert "uuid_getvar(a accord_state)} == announced" in played, "the switch looks whether it is recorded"
    house.member("del-member", "c", "3")
    assert names(call) == ["b-a"]
    house.member("del-member", "a", "1")
    assert (call.state.conference.name, names(call)) == ("", [])


def test_two_calls_in_a_room_have_said_once_what_both_want_said(house: House) -> None:
    one, two = house.call("a", BOTH), house.call("o", BOTH)
    for number, channel in enumerate(("a", "o")):
        house.calls[channel].feed(LegUnbridged(AT, other=f"b-{channel}"))
        house.rooms.event(event("add-member", **{"Unique-ID": channel, "Member-ID": str(number)}))
    gevent.sleep(0.02)
    house.member("add-member", "c", "3")
    assert len(house.played()) == 1
    assert house.played()[0].endswith(f"play '{SOUND.path}'")
    house.rooms.event(event("play-file", File=SOUND.path))
    later = event("play-file-done", File=SOUND.path).raw.replace(b"1795647361617992", b"1795647363617992")
    house.rooms.event(EslEvent(b"\n" + later))
    assert {"leg:c"} <= one.state.transfer.informed & two.state.transfer.informed
    # Another call comes: who was told in this room is not told again.
    third = house.call("x", BOTH)
    enter(house, "x", "9")
    assert names(third) == ["a", "o", "c"]
    assert "leg:c" in third.state.transfer.informed
    assert len(house.played()) == 1


def test_a_room_whose_name_is_put_into_no_command_tells_nobody(house: House) -> None:
    call = house.call("a")
    odd = {"Conference-Name": "the%20room%20${system(x)}"}
    call.feed(LegUnbridged(AT, other="b-a"))
    house.member("add-member", "a", "1", **odd)
    house.member("add-member", "c", "3", **odd)
    assert house.played() == []
    assert names(call) == ["c"]


def test_rooms_without_a_call_of_ours_are_nothing(house: House) -> None:
    house.member("add-member", "y", "1")
    house.member("add-member", "z", "2")
    house.member("del-member", "y", "1")
    house.member("del-member", "z", "2")
    assert house.switch.told == []
    assert house.rooms.there("z") == ("", ())


def test_a_third_one_is_asked_for_and_hears_it_mixed_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ASKED", (0.0, 0.01))
    call = house.call("a")
    house.switch.legs["c"] = {"Caller-Direction": "outbound", "Caller-Destination-Number": "300"}
    house.switch.rows = [{"uuid": "c", "application": "three_way", "application_data": "b-a"}]
    house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.1)
    assert names(call) == ["c"]
    assert call.state.conference.participants[0].party == Party("extension", "300")
    (mixed,) = [command for command in house.switch.told if "uuid_displace" in command]
    assert mixed.endswith(f"? c : none)}} start '{SOUND.path}' 0 m")
    house.bug("MEDIA_BUG_START", "c", "displace", SOUND.path)
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.began is not None
    del house.switch.legs["c"]
    house.bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert names(call) == []


class Aside:
    """A third one ``c`` on the leg of the colleague, on a line that asks who joins."""

    def __init__(self, house: House, how: str = ALONE) -> None:
        self.house, self.call = house, house.call("a", how, asks=True)
        house.switch.legs["c"] = {"Caller-Direction": "outbound", "Caller-Destination-Number": "300"}
        house.switch.rows = [{"uuid": "c", "application": "three_way", "application_data": "b-a"}]
        house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
        gevent.sleep(0.1)

    def moved(self) -> list[str]:
        return [one for one in self.house.switch.told if "uuid_transfer" in one]

    def hears(self, complete: bool = True) -> None:
        for name, seconds in (("PLAYBACK_START", 0), ("PLAYBACK_STOP", 4 if complete else 1)):
            self.event(name, seconds, **{
                "Playback-File-Path": SOUND.path, "Playback-Status": "done" if complete else "break"
            })  # fmt: skip

    def event(self, name: str, seconds: int = 0, leg: str = "c", **more: str) -> None:
        at = 1795647361617992 + seconds * 1_000_000
        headers = {"Event-Name": name, "Event-Date-Timestamp": str(at), "Unique-ID": leg, **more}
        made = EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())
        (self.house.rooms.hung_up if "HANGUP" in name else self.house.rooms.in_talk)(made)
        gevent.sleep(0.02)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conferences, "ASKED", (0.0, 0.01))
    monkeypatch.setattr(conferences, "GONE", (0.0,))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", [ALONE, BOTH])
def test_a_third_one_is_taken_aside_to_be_asked_and_let_back(house: House, how: str) -> None:
    aside = Aside(house, how)
    *told, moved = [one for one in house.switch.told if "uuid_broadcast" not in one]
    assert told == [
        "api uuid_setvar c accord_beside b-a",
        f"api uuid_setvar c accord_prompt {SOUND.path}",
        "api uuid_setvar c accord_answer 9000",
    ]
    assert moved == (
        "api expand uuid_transfer ${cond(${uuid_getvar(a accord_state)}-${uuid_getvar(c current_application)}"
        " == announced-three_way ? c : none)} ${global_getvar(accord_aside)}"
    )
    assert len([one for one in house.switch.told if "uuid_broadcast" in one]) == (how == BOTH)
    house.bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert names(aside.call) == ["c"], "they come back"
    aside.hears()
    assert aside.call.state.transfer.target is not None
    assert aside.call.state.transfer.target.heard
    assert len(aside.moved()) == 1
    aside.event("DTMF", 5, **{"DTMF-Digit": "1", "DTMF-Source": "RTP"})
    assert "leg:c" in aside.call.state.transfer.informed
    assert house.switch.told[-2:] == [
        "api uuid_setvar c accord_prompt",
        "api expand uuid_transfer ${cond(${uuid_getvar(c destination_number)} == accord_aside ? c : none)}"
        " accord_beside XML accord",
    ]
    house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.05)
    assert names(aside.call) == ["c"]
    assert len(aside.moved()) == 2
    house.switch.legs["c"] |= {"variable_current_application": "three_way"}
    house.bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert names(aside.call) == [], "and leaves as anybody"


@pytest.mark.usefixtures("at_once")
def test_a_third_one_who_says_no_hears_so_before_they_are_back(house: House) -> None:
    aside = Aside(house)
    aside.hears()
    aside.event("DTMF", 5, **{"DTMF-Digit": "2", "DTMF-Source": "RTP"})
    assert aside.call.state.recording.over
    assert house.switch.told[-2] == f"api uuid_setvar c accord_prompt {SOUND.path}"
    assert "accord_beside XML accord" in house.switch.told[-1]
    assert len(aside.moved()) == 2
    assert not [one for one in house.switch.told if "uuid_displace" in one]


@pytest.mark.usefixtures("at_once")
def test_a_third_one_who_is_asked_once_more_is_where_they_were(house: House) -> None:
    aside = Aside(house)
    aside.hears()
    aside.event("DTMF", 5, **{"DTMF-Digit": "7", "DTMF-Source": "RTP"})
    assert len(aside.moved()) == 2
    assert "uuid_getvar(c destination_number)} == announced-accord_aside" in aside.moved()[-1]


@pytest.mark.usefixtures("at_once")
def test_a_third_one_who_hangs_up_while_they_are_asked(house: House) -> None:
    aside = Aside(house)
    aside.event("CHANNEL_HANGUP_COMPLETE", leg="somebody")
    assert names(aside.call) == ["c"]
    aside.event("CHANNEL_HANGUP_COMPLETE")
    assert names(aside.call) == []
    assert len(aside.moved()) == 1
    assert house.rooms.there("a") == ("", ())


@pytest.mark.usefixtures("at_once")
def test_a_third_one_is_let_back_when_a_hold_ends_the_question(house: House) -> None:
    aside = Aside(house)
    aside.call.feed(HoldStarted(AT, leg=INTERNAL))
    gevent.sleep(0.02)
    assert "accord_beside XML accord" in aside.moved()[-1]
    assert len(aside.moved()) == 2


@pytest.mark.usefixtures("at_once")
def test_a_third_one_whose_leg_is_put_into_no_command_is_not_moved(house: House) -> None:
    call = house.call("a", asks=True)
    house.switch.rows = [{"uuid": "c ${system(x)}", "application": "three_way", "application_data": "b-a"}]
    house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.1)
    assert names(call) == ["c ${system(x)}"]
    assert house.switch.told == []
    assert call.state.timer.deadline is not None, "and it ends, unasked, when nobody has heard it"


def marks(house: House, channel: str) -> list[tuple[str, dict[str, str]]]:
    """What is written down of who listens, and of who joined."""
    house.calls[channel].writer.flush(5)
    found = read_marks(house.calls[channel].writer.folder)
    return [
        (one.kind, dict(one.data))
        for one in found
        if one.kind.startswith(("supervisor_", "transfer_", "participant_"))
    ]


WHO = {"party": "extension", "value": "300", "leg": "c"}


def test_who_only_listens_is_marked_and_told_nothing_until_they_speak(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ASKED", (0.0, 0.01))
    monkeypatch.setattr(conferences, "GONE", (0.0,))
    call = house.call("a")
    house.switch.legs["c"] = {
        "Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300",
        "variable_current_application": "eavesdrop", "variable_current_application_data": "b-a",
    }  # fmt: skip
    house.switch.rows = [{"uuid": "c", "application": "eavesdrop", "application_data": "b-a"}]
    house.rooms.pressed(key("c", "3"))  # elsewhere, before
    house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    house.bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")  # somebody else's
    assert names(call) == []
    assert house.switch.told == []
    for key_, leg in (("2", "c"), ("2", "b-a"), ("*", "c"), ("1", "c")):
        house.rooms.pressed(key(leg, key_))
    gevent.sleep(0.05)
    assert names(call) == ["c"]
    (mixed,) = [command for command in house.switch.told if "uuid_displace" in command]
    assert f"start '{SOUND.path}' 0 m" in mixed
    house.bug("MEDIA_BUG_START", "c", "displace", SOUND.path)
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.began is not None
    house.rooms.pressed(key("c", "0"))
    assert names(call) == []
    del house.switch.legs["c"]
    house.bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    third = {**WHO, "who": "internal", "how": "third"}
    assert [
        one
        for one in marks(house, "a")
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


def test_a_key_that_is_pressed_before_the_list_says_who_listens_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ASKED", (0.0, 0.1))
    call = house.call("a")
    house.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300"}
    house.bug("MEDIA_BUG_START", "a", "eavesdrop", "a")
    for pressed in ("7", "1", "2", "*"):
        house.rooms.pressed(key("c", pressed))
    house.switch.rows = [{"uuid": "c", "application": "eavesdrop", "application_data": "a"}]
    gevent.sleep(0.2)
    assert [one.heard_by for one in call.state.supervisors] == ["external"]
    assert marks(house, "a")[1:] == [("supervisor_heard", {**WHO, "heard_by": "external"})]


def test_a_listener_whose_keys_mean_nothing_and_one_of_whom_nobody_knows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conferences, "ASKED", (0.0, 0.01))
    monkeypatch.setattr(conferences, "GONE", (0.0,))
    house.call("a")
    house.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300",
                              "variable_eavesdrop_enable_dtmf": "false"}  # fmt: skip
    house.switch.rows = [{"uuid": "c", "application": "eavesdrop", "application_data": "a"}]
    house.bug("MEDIA_BUG_START", "a", "eavesdrop", "a")
    house.rooms.pressed(key("c", "3"))
    house.switch.rows = [{"uuid": "d", "application": "eavesdrop", "application_data": "all"}]
    house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.05)
    assert marks(house, "a") == [("supervisor_joined", WHO)], "nothing is attached any more"
    house.switch.bugs = "<function>eavesdrop</function>"
    house.bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    gevent.sleep(0.05)
    house.bug("MEDIA_BUG_STOP", "b-a", "eavesdrop", "b-a")
    assert marks(house, "a")[1:] == [
        ("supervisor_joined", {"leg": "on:b-a"}),
        ("supervisor_left", {"leg": "on:b-a"}),
    ]


def test_who_is_there_when_the_daemon_is_back(house: House) -> None:
    house.call("a", connected=False)
    house.call("o", connected=False)
    house.switch.legs["c"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300"}
    house.switch.legs["b"] = {"variable_bridge_uuid": "o"}
    house.switch.legs["d"] = {"Caller-Direction": "inbound", "Caller-Caller-ID-Number": "400"}
    house.switch.legs["o"] = {"variable_accord_state": "announced"}
    rows = (("id-of-room", "room", {"a": "1", "c": "3"}),)
    house.rooms.look(Live({}, rows, {"b": ["d"]}, {"o": ["e"], "gone": ["f"]}))
    name, there = house.rooms.there("a")
    assert (name, [(one.leg, one.party) for one in there]) == ("room", [("c", Party("extension", "300"))])
    name, there = house.rooms.there("o")
    assert (name, [(one.leg, one.party) for one in there]) == ("", [("d", Party("extension", "400"))])
    assert [one.leg for one in house.rooms.listening("o")] == ["e"]
    assert house.rooms.listening("a") == ()


def test_who_is_outside_and_was_told_nothing_ends_the_take(house: House) -> None:
    call = house.call("a")
    enter(house, "a", "1")
    house.member("add-member", "b-a", "2", "200")
    house.switch.outside["p"] = "true"
    house.member("add-member", "p", "3", "+32470123456")
    assert call.state.recording.over, "nobody told them"
    assert any(command.startswith("api uuid_record a stop ") for command in house.switch.told)
    assert call.state.conference.participants[-1].external


def key(leg: str, digit: str) -> EslEvent:
    headers = {
        "Event-Name": "DTMF", "Event-Date-Timestamp": "1795647361617992", "Unique-ID": leg,
        "DTMF-Digit": digit, "DTMF-Source": "RTP",
    }  # fmt: skip
    return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())


def test_a_key_of_who_is_asked_in_a_room_is_told_to_the_call_that_asks(house: House) -> None:
    call = house.call("a")
    enter(house, "a", "1")
    house.member("add-member", "b-a", "2", "200")
    house.member("add-member", "c", "3")
    told: list[CallEvent] = []
    call.feed = told.append  # type: ignore[method-assign, assignment]
    for leg in ("b-a", "a", "somebody"):
        house.rooms.pressed(key(leg, "1"))
    assert told == []
    house.rooms.pressed(key("c", "1"))
    assert [(type(one), one.key, one.leg, one.other) for one in told] == [(KeyPressed, "1", INTERNAL, "c")]
    del call.feed


@pytest.mark.parametrize(("how", "to"), [(ALONE, " 3"), (BOTH, "")])
def test_who_says_no_in_a_room_hears_no_more_of_the_question(house: House, how: str, to: str) -> None:
    call = house.call("a", how, asks=True)
    enter(house, "a", "1")
    house.member("add-member", "b-a", "2", "200")
    house.member("add-member", "c", "3")
    assert len(house.played()) == 1
    began = "play-file" if how == BOTH else "play-file-member"
    house.rooms.event(event(began, File=SOUND.path, **{"Unique-ID": "c", "Member-ID": "3"}))
    call.feed(KeyPressed(AT, leg=INTERNAL, other="c", key="2"))
    gevent.sleep(0.02)
    ended = f"api conference room stop current{to}"
    rooms_told = [each for each in house.switch.told if "conference" in each]
    asked, said = house.played()
    assert rooms_told == [asked, ended, said]


def test_in_a_room_whose_name_is_put_into_no_command_nothing_is_ended(house: House) -> None:
    call = house.call("a", asks=True)
    call.feed(LegUnbridged(AT, other="b-a"))
    house.member("add-member", "a", "1", **{"Conference-Name": "the%20room"})
    house.rooms.cut(call, "a")
    house.rooms.cut(call, "nobody")
    gevent.sleep(0.02)
    assert not any("stop current" in each for each in house.switch.told)
