"""Calls without a daemon in time are listed, each once."""

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
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.snapshot import Snapshot
from recorder.switch.esl import OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import LiveChannel, LiveState, Node
from tests.greenlets import wait_idle

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


def hangup(call_direction: str = "inbound", **variables: str) -> EslEvent:
    headers = {"Event-Name": "CHANNEL_HANGUP_COMPLETE", **DATA, "Call-Direction": call_direction}
    headers |= {f"variable_accord_{name}": value for name, value in variables.items()}
    lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return EslEvent(f"\n{lines}\n".encode())


def reasons(root: Path) -> list[str | None]:
    """Return why calls were not recorded, once the daemon is idle."""
    assert wait_idle(), "the daemon is still busy"
    return [layout.read_end(folder).reason for folder in layout.finished_takes(root)]


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    settings = DaemonSettings(node="n", spool=tmp_path / "spool", snapshot=tmp_path, password="x" * 12)
    settings.spool.mkdir()
    return Daemon(settings)


@pytest.mark.parametrize(
    ("variables", "reason"),
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
def test_lists_an_unhandled_call_with_its_reason(
    daemon: Daemon, variables: Mapping[str, str], reason: str | None
) -> None:
    daemon.observer.handle_event(hangup(**variables))
    daemon.observer.handle_event(hangup(**variables))
    assert reasons(daemon.settings.spool) == ([] if reason is None else [reason])


def test_lists_a_never_record_caller(daemon: Daemon) -> None:
    announcement = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    line = LinePolicy("t", "l", "3225550101", "notice", "before_ringing", ("opus",), announcement)
    daemon.config._snapshot = Snapshot(
        "", {line.number: line}, frozenset({"32470000001"}), frozenset(), daemon.settings.snapshot
    )
    daemon.observer.handle_event(hangup(state="unrecorded", left="waiting"))
    assert reasons(daemon.settings.spool) == ["never_record"]


@pytest.mark.parametrize("state", [{"state": "waiting"}, {"state": "unrecorded", "left": "late"}])
def test_lists_a_call_of_a_suspended_line_as_that(daemon: Daemon, state: Mapping[str, str]) -> None:
    announcement = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    line = LinePolicy(
        "t", "l", "3225550101", "notice", "before_ringing", ("opus",), announcement, suspended=True
    )
    snapshot = Snapshot("", {line.number: line}, frozenset(), frozenset(), daemon.settings.snapshot)
    daemon.config._snapshot = snapshot
    daemon.observer.handle_event(hangup(**state))
    assert reasons(daemon.settings.spool) == ["suspended"]


def test_ignores_an_arrival_after_the_hangup(daemon: Daemon) -> None:
    """A daemon that hung reads the hang-up on one connection, and then the arrival on the call's own."""
    daemon.observer.handle_event(hangup(state="waiting"))
    arrival = Arrival.of({**DATA, "variable_accord_state": "waiting"})
    daemon.intake.arrive(arrival, cast("OutboundSession", None))
    assert reasons(daemon.settings.spool) == ["daemon_away"]
    assert not list(layout.open_takes(daemon.settings.spool))
    assert not daemon.calls


def test_remembers_a_limited_number_of_channels() -> None:
    unhandled = UnhandledCalls(cast("Node", None), None, lambda *_: None, lambda *_: None)
    for number in range(10_001):
        unhandled.mark_written(f"c{number}")
    assert not unhandled.is_written("c0")
    assert unhandled.is_written("c1")


class AnsweringSwitch:
    """A switch that answers for a channel a number of times, and then has no such channel."""

    def __init__(self, times: int) -> None:
        self.times = times

    def api(self, command: object) -> str:
        self.times -= 1
        if self.times < 0:
            raise SwitchError("switch.refused", "-ERR No such channel!", "try again")
        variables = {"accord_state": "unrecorded", "accord_line": "3225550101", "accord_left": "waiting",
                "caller_id_number": "+32470000001"}  # fmt: skip
        return variables.get(str(command).split()[-1], "_undef_")


@pytest.mark.parametrize("times", range(8))
def test_hangup_during_the_check_is_left_to_its_event(times: int) -> None:
    followed: list[tuple[str, str, str, Party, str]] = []
    node = cast("Node", AnsweringSwitch(times))
    unhandled = UnhandledCalls(node, None, lambda *_: None, lambda *call: followed.append(call))
    unhandled.check(LiveState({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())}), {})
    expected = (CHANNEL, "3225550101", "inbound", Party("e164", "+32470000001"), "daemon_away")
    assert followed == ([expected] if times >= 6 else [])


@pytest.mark.parametrize("questions", range(1, 7))
def test_arrival_during_the_check_is_followed_once(questions: int) -> None:
    """The time limit released it: its own socket is read late, and the check at the connection finds it."""
    followed: list[str] = []
    calls: set[str] = set()

    def follow(channel: str, *_: object) -> None:
        followed.append(channel)
        calls.add(channel)

    class LateSwitch(AnsweringSwitch):
        def api(self, command: object) -> str:
            if self.times == 7 - questions:
                unhandled.follow_late(CHANNEL, "3225550101", "inbound", Party("e164", "+32470000001"))
            return super().api(command)

    unhandled = UnhandledCalls(cast("Node", LateSwitch(6)), None, lambda *_: None, follow)
    unhandled.check(LiveState({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())}), calls)
    assert followed == [CHANNEL]


class RingingSwitch(AnsweringSwitch):
    """A switch where a call rings that is to be announced on answer."""

    def api(self, command: object) -> str:
        return "pickup" if str(command).endswith("accord_state") else super().api(command)


def test_follows_a_ringing_call_at_the_second_check() -> None:
    """A daemon died before it had written the call. At the first check the call may be on its way here."""
    followed: list[tuple[str, str, str, Party, str]] = []
    live = LiveState({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())})
    node = cast("Node", RingingSwitch(99))
    unhandled = UnhandledCalls(node, None, lambda *_: None, lambda *call: followed.append(call))
    ringing = unhandled.check(live, {})
    assert (ringing, followed) == ({CHANNEL}, [])
    assert unhandled.check(live, {CHANNEL}, ringing) == frozenset()
    assert followed == []
    unhandled.check(live, {}, ringing)
    assert followed == [(CHANNEL, "3225550101", "inbound", Party("e164", "+32470000001"), "daemon_away")]


class ListingSwitch(AnsweringSwitch):
    """A switch that lists a call that it did not list a moment ago."""

    def reconcile(self) -> LiveState:
        return LiveState({CHANNEL: LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", ())})

    def send_later(self, command: object) -> None:
        raise AssertionError(f"{command}: a call that continues unrecorded gets no command")


def test_checks_channels_that_the_switch_lists_late(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    add_line(daemon, "off")
    monkeypatch.setattr("recorder.capture.switch_observer.LIST_DELAY", 0.0)
    switch = ListingSwitch(99)
    for part in (daemon.observer, daemon.intake, daemon.intake.unhandled):
        monkeypatch.setattr(part, "node", switch)
    daemon.observer.connect(LiveState({}))
    assert not list(layout.open_takes(daemon.settings.spool))
    assert wait_idle()
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).channel == CHANNEL


OUTBOUND = {"direction": "outbound", "line": "3225550101", "callee": "+32470000009", "caller": "3225550101"}


def add_line(daemon: Daemon, outbound: str) -> None:
    announcement = Announcement("a", 1, "en", "text", ("agreement",), 30, "0" * 64, 1000)
    line = LinePolicy(
        "t", "l", "3225550101", "notice", "before_ringing", ("opus",), announcement, outbound=outbound
    )
    daemon.config._snapshot = Snapshot(
        "", {line.number: line}, frozenset(), frozenset(), daemon.settings.snapshot
    )


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"state": "calling"}, "never_connected"),
        ({"state": "answered"}, "daemon_away"),
        ({"state": "unrecorded", "left": "late"}, "daemon_late"),
        ({"state": "never_record"}, "never_record"),
        ({"state": "outgoing"}, None),
    ],
)
def test_lists_an_unhandled_outbound_call_with_its_callee(
    daemon: Daemon, variables: Mapping[str, str], reason: str | None
) -> None:
    add_line(daemon, "before_connected")
    daemon.observer.handle_event(hangup("outbound", **OUTBOUND, **variables))
    assert reasons(daemon.settings.spool) == ([] if reason is None else [reason])
    for folder in layout.finished_takes(daemon.settings.spool):
        start = layout.read_start(folder)
        assert (start.direction, start.external_party.value) == ("outbound", "+32470000009")


@pytest.mark.parametrize("variables", [{"state": "calling"}, {"state": "unrecorded", "left": "late"}])
def test_lists_no_outbound_call_of_a_line_without_outbound_recording(
    daemon: Daemon, variables: Mapping[str, str]
) -> None:
    add_line(daemon, "off")
    daemon.observer.handle_event(hangup("outbound", **OUTBOUND, **variables))
    assert reasons(daemon.settings.spool) == []


def test_ignores_a_fork_that_lost_the_race(daemon: Daemon) -> None:
    add_line(daemon, "before_connected")
    event = hangup("outbound", **OUTBOUND, state="calling")
    event = EslEvent(b"\n" + event.raw.replace(b"ORIGINATOR_CANCEL", b"LOSE_RACE"))
    daemon.observer.handle_event(event)
    assert reasons(daemon.settings.spool) == []


def test_connected_callee_bypassed_accord(daemon: Daemon) -> None:
    add_line(daemon, "before_connected")
    event = hangup("outbound", **OUTBOUND, state="calling")
    bridged = b"\nCaller-Channel-Bridged-Time: 1795680000000000\n"
    daemon.observer.handle_event(EslEvent(bridged + event.raw.lstrip(b"\n")))
    assert reasons(daemon.settings.spool) == ["dialplan_did_not_ask"]
    assert daemon.intake.bypassed.count == 1


@pytest.mark.parametrize("bridged", ["0", "1795680000000000"])
def test_far_half_of_a_loopback_channel_is_no_call(daemon: Daemon, bridged: str) -> None:
    """It has copies of the callee's variables."""
    add_line(daemon, "before_connected")
    event = hangup("inbound", **OUTBOUND, state="calling")
    header = f"\nCaller-Channel-Bridged-Time: {bridged}\n".encode()
    daemon.observer.handle_event(EslEvent(header + event.raw.lstrip(b"\n")))
    assert reasons(daemon.settings.spool) == []


class CalleeSwitch(AnsweringSwitch):
    """A switch that answers for a callee's leg."""

    def api(self, command: object) -> str:
        name = str(command).split()[-1]
        return {"accord_direction": "outbound", "accord_callee": "+32470000009"}.get(name) or super().api(
            command
        )


@pytest.mark.parametrize(("switch", "count"), [(CalleeSwitch(9), 1), (AnsweringSwitch(9), 0)])
def test_follows_only_callees_of_outbound_legs(switch: AnsweringSwitch, count: int) -> None:
    followed: list[tuple[str, str, str, Party, str]] = []
    unhandled = UnhandledCalls(
        cast("Node", switch), None, lambda *_: None, lambda *call: followed.append(call)
    )
    unhandled.check(LiveState({CHANNEL: LiveChannel(CHANNEL, "outbound", "ACTIVE", "outbound", ())}), {})
    expected = (CHANNEL, "3225550101", "outbound", Party("e164", "+32470000009"), "daemon_away")
    assert followed == [expected] * count


def test_releases_a_callee_of_an_unrecorded_line(daemon: Daemon) -> None:
    add_line(daemon, "off")
    data = {**DATA, **{f"variable_accord_{name}": value for name, value in OUTBOUND.items()}}
    arrival = Arrival.of({**data, "variable_accord_state": "answered"})
    assert (arrival.new, arrival.internal_party) == (True, Party("extension", "3225550101"))
    daemon.intake.arrive(arrival, cast("OutboundSession", None))
    assert not daemon.calls
    assert reasons(daemon.settings.spool) == []


@pytest.mark.parametrize("state", ["late", "unrecorded"])
def test_follows_a_call_that_arrives_too_late(daemon: Daemon, state: str) -> None:
    """This daemon may end before the call does, and the next one may start later."""
    add_line(daemon, "before_connected")
    data = {**DATA, **{f"variable_accord_{name}": value for name, value in OUTBOUND.items()}}
    arrival = Arrival.of({**data, "variable_accord_state": state})
    daemon.intake.arrive(arrival, cast("OutboundSession", None))
    assert wait_idle()
    (folder,) = layout.open_takes(daemon.settings.spool)
    start = layout.read_start(folder)
    assert (start.refused, start.direction) == ("daemon_late", "outbound")
    assert start.external_party.value == "+32470000009"


class ClosedSocket:
    """A call's own socket, which the switch has closed."""

    def __init__(self) -> None:
        self.closed = gevent.event.Event()
        self.closed.set()

    def send_all(self, _orders: object, _limit: float | None = None) -> None:
        raise SwitchError("switch.closed", "the connection to FreeSWITCH ended", "try again")

    def register_handle(self, _name: str, _handler: object) -> None: ...

    def on_close(self, handler: Callable[[str], object]) -> None:
        handler("it is closed")


def test_lists_a_call_whose_socket_has_closed(daemon: Daemon) -> None:
    """The daemon was stopped right after it had read the arrival, and may die before the call ends."""
    add_line(daemon, "before_connected")
    daemon.config.plan = lambda *_: CallPlan("notice", (Script(Speech("/s.wav", timedelta(seconds=1))),))  # type: ignore[method-assign]
    arrival = Arrival.of({**DATA, "variable_accord_state": "waiting"})
    daemon.intake.arrive(arrival, cast("OutboundSession", ClosedSocket()))
    wait_idle(timeout=1)  # the call's timer is still running
    (folder,) = layout.open_takes(daemon.settings.spool)
    assert layout.read_start(folder).channel == CHANNEL
    daemon.observer.handle_event(hangup(state="unrecorded", left="late"))
    assert reasons(daemon.settings.spool) == ["daemon_late"]
