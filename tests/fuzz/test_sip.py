"""Hostile SIP of every kind against the real switch and a daemon, with honest calls in between: nothing
crashes, no forgery is believed, nothing is recorded unannounced, and honest calls are recorded as usual."""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

import pytest

from recorder.spool import layout
from tests.freeswitch.switches import NUMBER, Rig, until
from tests.fuzz.sip import Stranger, pace

DATAGRAMS = int(os.environ.get("TEST_SIP_DATAGRAMS", "3000"))

NUMBERS = [f"{NUMBER}{n:02}" for n in range(20, 40)]
"""Lines for hostile calls; honest calls use another."""


LATE = {"daemon_late", "announcement_failed", "daemon_away", "recording_failed"}
"""Reasons of calls on an overloaded machine or disk: they are connected without a recording, as designed."""


def honest(rig: Rig) -> int:
    """Make ordinary calls until one is announced and recorded; returns how many were too late before."""
    late = -1
    while late < 5:
        late += 1
        call = rig.call()
        call.wait_bridged(60)
        time.sleep(0.5)
        call.hang_up()
        end = call.wait_take(30).end
        if end.reason not in LATE:
            break
    assert end.outcome == "recorded", end
    return late


def settle(rig: Rig, stranger: Stranger) -> None:
    """Strangers' calls are ended: a phone may stay in one as long as it likes, and those that do would tell
    in the end what this machine carries, not what bad input does."""
    for _ in range(20):
        stranger.hear()
        time.sleep(0.05)
    rig.switch.esl.api("hupall")
    rig.switch.wait_empty(60)


def check_takes(rig: Rig, known: set[Path]) -> int:
    """What the daemon has written of strangers' calls is what the switch routed; how many it looked at."""
    count = 0
    for folder in set(rig.spool.iterdir()) - known:
        if not (folder / layout.CALL).exists():
            continue
        start = layout.read_start(folder)
        assert folder.name == start.recording
        assert re.fullmatch(r"\+?[0-9]{2,15}", start.number), start
        assert start.tenant in ("t1", None)
        assert (start.tenant == "t1") == (start.line is not None)
        if start.line is not None:
            assert start.number.removeprefix("+").startswith(NUMBER), start
            assert start.line == f"l{int(start.number[-2:])}"
        assert start.external_party.value.isprintable()
        assert start.channel != "evil"
        known.add(folder)
        count += 1
    return count


def start_stranger(rig: Rig, count: int, each_second: float, honest_every: int, seed: int) -> Stranger:
    chance = random.Random(seed)
    stranger = Stranger(rig.sip_port, NUMBERS[0].encode(), chance)
    known: set[Path] = set()
    start, late = time.monotonic(), 0
    for number in range(count):
        stranger.number = chance.choice(NUMBERS).encode()
        last = stranger.one()
        pace(start, number + 1, each_second)
        if number % 50 == 49:
            assert rig.switch.process is not None and rig.switch.process.poll() is None, last
            assert rig.daemon is not None and rig.daemon.poll() is None, last
        if number % honest_every == honest_every - 1:
            settle(rig, stranger)
            late += honest(rig)
            answers = dict(sorted(stranger.answers.items()))
            print(f"{number + 1}: {answers}, {len(known)} calls, {late} late", flush=True)
            check_takes(rig, known)
    for _ in range(40):
        stranger.hear()
        time.sleep(0.05)
    rig.hang_up_all()
    until("every call is written down", lambda: not list(layout.open_takes(rig.spool)), 40, 0.2)
    check_takes(rig, known)
    rig.assert_only_announced_audio_is_kept()
    check_files(rig)
    return stranger


def check_files(rig: Rig) -> None:
    """Check that there are no files elsewhere: none named by a caller, and no recording outside the spool."""
    for path in rig.folder.rglob("*"):
        assert "FORGED" not in path.name, path
        if path.suffix == ".wav" and rig.spool not in path.parents:
            assert rig.phones_folder in path.parents or rig.snapshot in path.parents, path
    assert not Path("FORGED").exists()
    assert not Path("/FORGED").exists()
    log = (rig.folder / "daemon.log").read_text("utf-8", "replace")
    assert "Traceback" not in log, log[log.index("Traceback") - 2000 :][:6000]


def test_a_few_hundred_of_a_strangers_datagrams(rig: Rig) -> None:
    stranger = start_stranger(rig, 400, 120, 400, seed=1)
    assert stranger.count >= 400
    assert stranger.answers, "nothing was answered: nothing was tried"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thousands_of_a_strangers_datagrams(rig: Rig) -> None:
    stranger = start_stranger(rig, DATAGRAMS, 200, 500, seed=2)
    print(f"{stranger.count} sent, answered: {dict(sorted(stranger.answers.items()))}")
    assert {200, 404} <= set(stranger.answers)
