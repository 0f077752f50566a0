"""Minutes of calls while the daemon keeps dying: part of ``make test-long``."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass

import pytest

from tests.freeswitch.switches import NUMBER, CallUnderTest, Rig, level, onset_of, read_wav, until

MINUTES = 3
SEED = 20261125


@dataclass
class SoakCall:
    call: CallUnderTest
    start: float
    talks: float
    connected: float | None = None


@pytest.mark.long
def test_calls_under_a_dying_daemon(rig: Rig) -> None:
    chance = random.Random(SEED)
    live_calls: list[SoakCall] = []
    finished: list[CallUnderTest] = []
    deaths = 0
    with rig.watched_daemon() as supervisor:
        over = time.monotonic() + MINUTES * 60
        strike = time.monotonic() + 3
        while time.monotonic() < over or live_calls:
            now = time.monotonic()
            if now < over and len(live_calls) < 20:
                phone = chance.choice(["01", "01", "02", "88"])
                live_calls.append(SoakCall(rig.call(f"{NUMBER}{phone}"), now, chance.uniform(1, 7)))
            if now > strike and now < over:
                pid = supervisor.pid("daemon")
                if pid is not None:
                    deaths += 1
                    _strike(pid, chance.choice([signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM]))
                strike = now + chance.uniform(2, 9)
            for one in list(live_calls):
                if one.connected is None and one.call.answered:
                    one.connected = now
                if one.connected is None:
                    # The bound and its own ring, and what a busy machine may take.
                    assert now - one.start < 1.2 + 10 + 1.6 + 3, f"{one.call.caller} waits"
                elif now > one.connected + one.talks:
                    assert one.call.alive(), f"{one.call.caller} was cut off"
                    one.call.hang_up()
                    live_calls.remove(one)
                    finished.append(one.call)
            time.sleep(0.1)
        until("a daemon runs", lambda: supervisor.pid("daemon"))
        rig.wait_watching()
        until("every call is written", lambda: _all_written(rig), 30, 0.5)
        time.sleep(1)
        rig.assert_only_announced_audio_is_kept()
    kept_count = 0
    for call in finished:
        folder = call.take()
        if folder is None:
            continue  # the switch let it by, and nobody was there to see its end
        take = call.wait_take(1)
        if take.end.outcome == "recorded":
            kept_count += 1
            sound = read_wav(take.audio)
            assert onset_of(sound[:, 1], rig.prompt) is not None
            assert max(level(sound[:, 1], 1000)) > 0.2
    print(f"{len(finished)} calls, {deaths} deaths, {kept_count} kept")
    assert len(finished) > 100
    # The supervisor waits longer each time before it starts one that keeps ending: most calls find none.
    assert deaths > 10
    assert kept_count > 60


def _strike(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it died by itself meanwhile
        os.kill(pid, number)


def _all_written(rig: Rig) -> bool:
    """Whether no call is left and every folder has its end."""
    ended = all((path.parent / "take.json").exists() for path in rig.spool.glob("*/call.json"))
    return ended and not rig.switch.channels()
