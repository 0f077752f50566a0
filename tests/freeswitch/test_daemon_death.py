"""The daemon dies or stops at any point of a call: no unannounced second is kept, and the call continues."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.freeswitch.switches import (
    NUMBER,
    SCHEDULER_S,
    WAIT_S,
    CallUnderTest,
    Rig,
    level,
    onset_of,
    read_wav,
    until,
)

LENGTH = 1.2
"""Seconds of the tests' announcement."""

RING_S = 1.5
"""For so long a slow phone rings."""


SPEAKS = 0.2
"""Level of the callee's pitch when they speak; the announcement passes it by with 0.13."""


def _state(call: CallUnderTest, state: str) -> None:
    until(f"the call is {state}", lambda: call.variable("accord_state") == state, every=0.005)


def _stop_in_announcement(seconds: float) -> Callable[[CallUnderTest], None]:
    def wait(call: CallUnderTest) -> None:
        _state(call, "announcing")
        time.sleep(seconds)

    return wait


POINTS: dict[str, tuple[str, Callable[[CallUnderTest], object], set[str]]] = {
    "before it arrives": ("01", lambda call: None, {"daemon_away"}),
    "as it arrives": ("01", lambda call: until("it is there", lambda: call.leg, every=0.001), set()),
    "as it begins": ("01", _stop_in_announcement(0), {"daemon_away"}),
    "early in the announcement": ("01", _stop_in_announcement(0.2), {"daemon_away"}),
    "in its middle": ("01", _stop_in_announcement(0.6), {"daemon_away"}),
    "as it ends": ("01", _stop_in_announcement(LENGTH - 0.08), set()),
    "told": ("88", lambda call: _state(call, "announced"), {"recorded"}),
    "ringing": ("88", lambda call: (_state(call, "announced"), time.sleep(0.8)), {"recorded"}),
    "speaking": ("01", lambda call: (call.wait_bridged(), time.sleep(0.5)), {"recorded"}),
    "hung up": ("01", lambda call: (call.wait_bridged(), time.sleep(1), call.hang_up()), {"recorded"}),
}
"""Where the daemon is killed, what the called phone does, and what may have become of the call."""


@pytest.mark.parametrize("point", POINTS)
def test_sigkill(rig: Rig, point: str) -> None:
    phone, reach, outcomes = POINTS[point]
    rig.start_daemon()
    rig.wait_watching()
    if point == "before it arrives":
        rig.kill_daemon()
    call = rig.call(f"{NUMBER}{phone}")
    reach(call)
    rig.kill_daemon()
    if point != "hung up":
        call.wait_bridged()
        time.sleep(0.7)
        assert call.alive()
        # With no daemon anywhere, the switch alone keeps the rule.
        is_announced = call.variable("accord_state") == "announced"
        assert bool(rig.recorded_now()) == is_announced
    _assert_no_unannounced_voice(rig)
    rig.start_daemon()
    rig.wait_watching()
    if point != "hung up":
        time.sleep(0.5)
        assert call.alive()
        assert bool(rig.recorded_now()) == is_announced
        call.hang_up()
    take = call.wait_take()
    assert not outcomes or (take.end.reason or take.end.outcome) in outcomes
    rig.assert_only_announced_audio_is_kept()
    if take.end.outcome == "recorded":
        kinds = [marker.kind for marker in take.markers]
        assert max(level(read_wav(take.audio)[:, 1], 1000)) > SPEAKS
        if point != "hung up":  # the hang-up may have been written before the kill
            assert kinds.index("unobserved_from") < kinds.index("unobserved_to")
            assert "bridged" in kinds


@pytest.mark.parametrize("watchdog", [False, True], ids=["alone", "with the watchdog"])
def test_sigstop_with_twenty_calls_in_every_phase(rig: Rig, watchdog: bool) -> None:
    if watchdog:
        with rig.watched_daemon() as supervisor:
            pid = supervisor.pid("daemon")
            assert pid is not None
            _stop_in_every_phase(rig, lambda number: _signal(pid, number), killed=True)
    else:
        process = rig.start_daemon()
        _stop_in_every_phase(rig, process.send_signal, killed=False)


def _signal(pid: int, number: int) -> None:
    import os

    os.kill(pid, number)


def _stop_in_every_phase(rig: Rig, send: Callable[[int], object], *, killed: bool) -> None:
    rig.wait_watching()
    calls = []
    for _ in range(16):
        calls.append(rig.call(f"{NUMBER}{'88' if len(calls) % 3 == 2 else '01'}"))
        time.sleep(0.15)
    log = rig.folder / "daemon.log"
    connects = log.read_bytes().count(b"switch.up")
    send(signal.SIGSTOP)
    calls += [rig.call() for _ in range(4)]
    for call in calls:
        call.wait_bridged()
        # To begin and to be told: each has a bound of the switch's own, whose scheduler counts whole seconds.
        longest = WAIT_S + SCHEDULER_S + LENGTH + 10 + SCHEDULER_S + RING_S
        assert call.connected_after() < longest, call.caller
    time.sleep(0.7)
    assert all(call.alive() for call in calls)
    announced_callers = {call.caller for call in calls if call.variable("accord_state") == "announced"}
    for call in calls:
        if call.caller not in announced_callers and call.variable("accord_keys") == "put_away":
            by = "announcing" if killed else "late"
            assert call.variable("accord_left") == by, "the daemon's death let it go, or the switch's bound"
    assert 0 < len(announced_callers) < 20
    _assert_recorded_are(rig, calls, announced_callers)
    if not killed:
        send(signal.SIGCONT)
        time.sleep(1.5)
        assert all(call.alive() for call in calls)
        assert announced_callers == {
            call.caller for call in calls if call.variable("accord_state") == "announced"
        }
        _assert_recorded_are(rig, calls, announced_callers)
        rig.kill_daemon()
        time.sleep(0.5)
        assert all(call.alive() for call in calls)
        _assert_recorded_are(rig, calls, announced_callers)
        rig.start_daemon()
    until("another daemon watches", lambda: log.read_bytes().count(b"switch.up") > connects)
    time.sleep(0.5)
    _assert_recorded_are(rig, calls, announced_callers)
    for call in calls:
        call.hang_up()
    for call in calls:
        take = call.wait_take()
        assert (take.end.outcome == "recorded") == (call.caller in announced_callers), (
            take.end,
            take.markers,
        )
        if call.caller in announced_callers:
            sound = read_wav(take.audio)
            assert onset_of(sound[:, 1], rig.prompt) is not None
            assert max(level(sound[:, 1], 1000)) > SPEAKS
    rig.assert_only_announced_audio_is_kept()


def _assert_recorded_are(rig: Rig, calls: list[CallUnderTest], announced_callers: set[str]) -> None:
    recorded = rig.recorded_now()
    assert {call.caller for call in calls if call.leg in recorded} == announced_callers


def _assert_no_unannounced_voice(rig: Rig) -> None:
    """Check that no audio in the spool has a voice unless it contains the complete announcement."""
    for path in rig.spool.rglob("*.wav"):
        sound = read_wav(path)
        if onset_of(sound[:, 1], rig.prompt) is None:
            assert max(level(sound[:, 1], 1000), default=0) < SPEAKS, path
