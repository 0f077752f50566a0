"""A call that is told of twice is written down once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast

import gevent
import gevent.event
import pytest

from recorder.capture import Daemon, DaemonSettings
from recorder.capture.unhandled_calls import UnhandledCalls
from recorder.domain.call_plan import CallPlan, Script, Speech
from recorder.domain.line_policy import Announcement, LinePolicy, Snapshot
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.switch.esl import OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import Live, LiveChannel, Node

CHANNEL = "7d890c2c-f075-48a5-b2e1-638c52f1ecad"
DATA = {
    "Unique-ID": CHANNEL,
    "Caller-Caller-ID-Number": "+32470000001",
    "Call-Direction": "inbound",
    "Event-Date-Timestamp": "1795576840000000",
    "Answer-State": "hangup",
    "Hangup-Cause": "ORIGINATOR_CANCEL",
    "variable_accord_line": "3225550101",
}


def hung_up(**variables: str) -> EslEvent:
    said = {"Event-Name": "CHANNEL_HANGUP_COMPLETE", **DATA}
    said |= {f"variable_accord_{name}": value for name, value in variables.items()}
    lines = "".join(f"{name}: {value}\n" for name, value in said.items())
    return EslEvent(f"\n{lines}\n".encode())


def written(root: Path) -> list[str | None]:
    """Why calls were not recorded, once nothing is left to be done."""
    assert gevent.wait(timeout=20), "the daemon still writes"
    return [layout.read_end(folder).reason for folder in layout.finished_takes(root)]


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    settings = DaemonSettings(node="n", spool=tmp_path / "spool", snapshot=tmp_path, password="x" * 12)
    settings.spool.mkdir()
    return Daemon(settings)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"state": "waiting"}, "daemon_away"),
        ({"state": "pickup"}, "daemon_away"),
        ({"state": "announcing"}, "daemon_away"),
        ({"state": "unrecorded", "left": "late"}, "daemon_late"),
        ({"state": "unrecorded", "left": "announcing"}, "daemon_away"),
        ({"state": "never_record"}, "never_record"),
        ({"state": "announced"}, None),
    ],
)
def test_a_call_that_nobody_here_had_is_written_down_with_why(
    daemon: Daemon, told: Mapping[str, str], reason: str | None
) -> None:
    daemon._event(hung_up(**told))
    daemon._event(hung_up(**told))
    assert written(daemon.settings.spool) == ([] if reason is None else [reason])


def test_a_call_of_somebody_on_the_never_record_list_is_written_down_as_one(daemon: Daemon) -> None:
    announcement = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    line = LinePolicy("t", "l", "3225550101", "notice", "before_ringing", ("opus",), announcement)
    daemon.knowledge._snapshot = Snapshot(
        "", {line.number: line}, frozenset({"32470000001"}), frozenset(), daemon.settings.snapshot
    )
    daemon._event(hung_up(state="unrecorded", left="waiting"))
    assert written(daemon.settings.spool) == ["never_record"]


def test_a_call_that_arrives_after_its_end_was_told_is_nothing_new(daemon: Daemon) -> None:
    """A daemon that hung reads the end on one connection, and then the arrival on the call's own."""
    daemon._event(hung_up(state="waiting"))
    arrival = Arrival.of({**DATA, "variable_accord_state": "waiting"})
    daemon._arrive(arrival, cast("OutboundSession", None))
    assert written(daemon.settings.spool) == ["daemon_away"]
    assert not list(layout.open_takes(daemon.settings.spool))
    assert not daemon.calls


def test_only_so_many_ends_are_remembered() -> None:
    passed = UnhandledCalls(cast("Node", None), None, lambda *_: None, lambda *_: None)
    for number in range(10_001):
        passed.written(f"c{number}")
    assert not passed.over("c0")
    assert passed.over("c1")


class Answering:
    """A switch that answers for a channel so many times, and then has no such channel."""

    def __init__(self, times: int) -> None:
        self.times = times

    def api(self, command: object) -> str:
        self.times -= 1
        if self.times < 0:
            raise SwitchError("switch.refused", "-ERR No such channel!")
        said = {"accord_state": "unrecorded", "accord_line": "3225550101", "accord_left": "waiting",
                "caller_id_number": "+32470000001"}  # fmt: skip
        return said.get(str(command).split()[-1], "_undef_")


@pytest.mark.parametrize("times", range(8))
def test_a_call_that_hangs_up_while_it_is_asked_about_is_left_to_its_last_event(times: int) -> None:
    followed: list[tuple[str, str, str, Party, str]] = []
    node = cast("Node", Answering(times))
    passed = UnhandledCalls(node, None, lambda *_: None, lambda *told: followed.append(told))
    passed.look(Live({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())}), {})
    whole = (CHANNEL, "3225550101", "inbound", Party("e164", "+32470000001"), "daemon_away")
    assert followed == ([whole] if times >= 6 else [])


@pytest.mark.parametrize("questions", range(1, 7))
def test_a_call_that_comes_here_while_it_is_asked_about_is_followed_once(questions: int) -> None:
    """The switch's bound let it go: its own socket is read late, and the look after a connection finds it."""
    followed: list[str] = []
    calls: set[str] = set()

    def follow(channel: str, *_: object) -> None:
        followed.append(channel)
        calls.add(channel)

    class Late(Answering):
        def api(self, command: object) -> str:
            if self.times == 7 - questions:
                passed.late(CHANNEL, "3225550101", "inbound", Party("e164", "+32470000001"))
            return super().api(command)

    passed = UnhandledCalls(cast("Node", Late(6)), None, lambda *_: None, follow)
    passed.look(Live({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())}), calls)
    assert followed == [CHANNEL]


class Ringing(Answering):
    """A switch where a call rings that is to be announced once somebody has answered."""

    def api(self, command: object) -> str:
        return "pickup" if str(command).endswith("accord_state") else super().api(command)


def test_a_call_that_is_left_to_ring_is_followed_once_nobody_has_come_for_it() -> None:
    """A daemon that died before it had written of it; at the first look it may be on its way here."""
    followed: list[tuple[str, str, str, Party, str]] = []
    live = Live({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())})
    node = cast("Node", Ringing(99))
    passed = UnhandledCalls(node, None, lambda *_: None, lambda *told: followed.append(told))
    left = passed.look(live, {})
    assert (left, followed) == ({CHANNEL}, [])
    assert passed.look(live, {CHANNEL}, left) == frozenset()
    assert followed == []
    passed.look(live, {}, left)
    assert followed == [(CHANNEL, "3225550101", "inbound", Party("e164", "+32470000001"), "daemon_away")]


class Listing(Answering):
    """A switch that lists a call now, and did not a moment ago."""

    def reconcile(self) -> Live:
        return Live({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())})

    def send_later(self, command: object) -> None:
        raise AssertionError(f"{command}: it goes on unrecorded, and is left alone")


def test_what_the_switch_lists_late_is_looked_at_too(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with_line(daemon, "off")
    monkeypatch.setattr("recorder.capture.daemon.LISTED", 0.0)
    switch = Listing(99)
    monkeypatch.setattr(daemon, "node", switch)
    monkeypatch.setattr(daemon._passed, "_node", switch)
    daemon._up(Live({}))
    assert not list(layout.open_takes(daemon.settings.spool))
    assert gevent.wait(timeout=20)
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).channel == CHANNEL


OUTWARD = {"direction": "outbound", "line": "3225550101", "callee": "+32470000009", "caller": "3225550101"}


def with_line(daemon: Daemon, outbound: str) -> None:
    told = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    line = LinePolicy("t", "l", "3225550101", "notice", "before_ringing", ("opus",), told, outbound=outbound)
    daemon.knowledge._snapshot = Snapshot(
        "", {line.number: line}, frozenset(), frozenset(), daemon.settings.snapshot
    )


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"state": "calling"}, "never_connected"),
        ({"state": "answered"}, "daemon_away"),
        ({"state": "unrecorded", "left": "late"}, "daemon_late"),
        ({"state": "never_record"}, "never_record"),
        ({"state": "outgoing"}, None),
    ],
)
def test_an_outbound_call_that_nobody_here_had_is_written_down_with_whom_it_called(
    daemon: Daemon, told: Mapping[str, str], reason: str | None
) -> None:
    with_line(daemon, "before_connected")
    daemon._event(hung_up(**OUTWARD, **told))
    assert written(daemon.settings.spool) == ([] if reason is None else [reason])
    for folder in layout.finished_takes(daemon.settings.spool):
        start = layout.read_start(folder)
        assert (start.direction, start.external_party.value) == ("outbound", "+32470000009")


@pytest.mark.parametrize("told", [{"state": "calling"}, {"state": "unrecorded", "left": "late"}])
def test_of_a_line_whose_outbound_calls_are_not_recorded_none_is_listed(
    daemon: Daemon, told: Mapping[str, str]
) -> None:
    with_line(daemon, "off")
    daemon._event(hung_up(**OUTWARD, **told))
    assert written(daemon.settings.spool) == []


def test_a_telephone_that_rang_until_another_one_was_answered_is_not_listed(daemon: Daemon) -> None:
    with_line(daemon, "before_connected")
    event = hung_up(**OUTWARD, state="calling")
    event = EslEvent(b"\n" + event.raw.replace(b"ORIGINATOR_CANCEL", b"LOSE_RACE"))
    daemon._event(event)
    assert written(daemon.settings.spool) == []


def test_a_callee_who_was_connected_and_never_brought_here_is_not_called_unreached(daemon: Daemon) -> None:
    with_line(daemon, "before_connected")
    event = hung_up(**OUTWARD, state="calling")
    connected = b"\nCaller-Channel-Bridged-Time: 1795680000000000\n"
    daemon._event(EslEvent(connected + event.raw.lstrip(b"\n")))
    assert written(daemon.settings.spool) == ["dialplan_did_not_ask"]
    assert daemon.bypass.count == 1


class Callee(Answering):
    """A switch that answers for a callee's leg."""

    def api(self, command: object) -> str:
        name = str(command).split()[-1]
        return {"accord_direction": "outbound", "accord_callee": "+32470000009"}.get(name) or super().api(
            command
        )


@pytest.mark.parametrize(("switch", "count"), [(Callee(9), 1), (Answering(9), 0)])
def test_of_the_legs_that_the_switch_made_only_callees_are_followed(switch: Answering, count: int) -> None:
    followed: list[tuple[str, str, str, Party, str]] = []
    passed = UnhandledCalls(cast("Node", switch), None, lambda *_: None, lambda *told: followed.append(told))
    passed.look(Live({CHANNEL: LiveChannel(CHANNEL, "outbound", "ACTIVE", "outbound", ())}), {})
    whole = (CHANNEL, "3225550101", "outbound", Party("e164", "+32470000009"), "daemon_away")
    assert followed == [whole] * count


def test_a_callee_of_a_line_that_is_not_recorded_is_let_go_at_once(daemon: Daemon) -> None:
    with_line(daemon, "off")
    data = {**DATA, **{f"variable_accord_{name}": value for name, value in OUTWARD.items()}}
    arrival = Arrival.of({**data, "variable_accord_state": "answered"})
    assert (arrival.new, arrival.internal_party) == (True, Party("extension", "3225550101"))
    daemon._arrive(arrival, cast("OutboundSession", None))
    assert not daemon.calls
    assert written(daemon.settings.spool) == []


@pytest.mark.parametrize("state", ["late", "unrecorded"])
def test_a_call_that_arrives_after_the_switch_had_let_it_go_is_followed(daemon: Daemon, state: str) -> None:
    """This daemon may be gone before it ends, and the next one not yet there."""
    with_line(daemon, "before_connected")
    data = {**DATA, **{f"variable_accord_{name}": value for name, value in OUTWARD.items()}}
    arrival = Arrival.of({**data, "variable_accord_state": state})
    daemon._arrive(arrival, cast("OutboundSession", None))
    assert gevent.wait(timeout=20)
    (folder,) = layout.open_takes(daemon.settings.spool)
    start = layout.read_start(folder)
    assert (start.refused, start.direction) == ("daemon_late", "outbound")
    assert start.external_party.value == "+32470000009"


class Gone:
    """A call's own connection, which the switch has closed meanwhile."""

    def __init__(self) -> None:
        self.closed = gevent.event.Event()
        self.closed.set()

    def send_all(self, _orders: object, _limit: float | None = None) -> None:
        raise SwitchError("switch.closed", "the connection to FreeSWITCH ended")

    def register_handle(self, _name: str, _handler: object) -> None: ...

    def on_close(self, handler: Callable[[str], object]) -> None:
        handler("it is closed")


def test_a_call_whose_socket_is_gone_by_the_time_we_come_to_it_is_written_down(daemon: Daemon) -> None:
    """The daemon was stopped right after it had read of the call; it may die before the call ends."""
    with_line(daemon, "before_connected")
    daemon.knowledge.plan = lambda *_: CallPlan("notice", (Script(Speech("/s.wav", timedelta(seconds=1))),))  # type: ignore[method-assign]
    arrival = Arrival.of({**DATA, "variable_accord_state": "waiting"})
    daemon._arrive(arrival, cast("OutboundSession", Gone()))
    gevent.wait(timeout=1)  # the call's own clock goes on
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).channel == CHANNEL
    daemon._event(hung_up(state="unrecorded", left="late"))
    assert written(daemon.settings.spool) == ["daemon_late"]
