"""Poison takes: which take is at fault when encoders crash."""

from __future__ import annotations

import random

import pytest

from recorder.pipeline.poison_takes import CRASH_INTERVAL, CRASH_INTERVAL_ALONE, CRASH_LIMIT, EncoderCrashes
from tests.clock import MonotonicClock


@pytest.fixture
def now() -> MonotonicClock:
    return MonotonicClock(0.0)


@pytest.fixture
def crashes(now: MonotonicClock) -> EncoderCrashes:
    return EncoderCrashes(now)


def test_quarantines_a_take_that_crashes_while_others_succeed(
    crashes: EncoderCrashes, now: MonotonicClock
) -> None:
    for count in range(1, CRASH_LIMIT + 1):
        assert not crashes.is_poison("bad")
        assert crashes.note_crash("bad", alone=False) == count
        crashes.note_encoded(f"good {count}")
        now.at += CRASH_INTERVAL
    assert crashes.is_poison("bad")
    crashes.forget("bad")
    assert not crashes.is_poison("bad")


def test_quarantines_nothing_while_nothing_is_encoded(crashes: EncoderCrashes, now: MonotonicClock) -> None:
    for _ in range(100):
        for take in ("a", "b", "c"):
            assert crashes.note_crash(take, alone=False) == 1
        now.at += CRASH_INTERVAL_ALONE


def test_counts_only_takes_encoded_since_the_last_crash(crashes: EncoderCrashes, now: MonotonicClock) -> None:
    crashes.note_crash("a", alone=False)
    crashes.note_encoded("b")
    assert crashes.note_crash("a", alone=False) == 1  # too soon
    now.at += CRASH_INTERVAL  # from here on, every encoder crashes
    assert crashes.note_crash("a", alone=False) == 1


def test_frequent_crashes_within_the_interval_count_once(
    crashes: EncoderCrashes, now: MonotonicClock
) -> None:
    """Out of memory for a while: many crashes of one take, with others encoded in between."""
    while now.at < CRASH_INTERVAL * (CRASH_LIMIT - 1) - 2:
        crashes.note_crash("a", alone=True)
        crashes.note_encoded("b")
        now.at += 1.0
    assert not crashes.is_poison("a")


def test_quarantines_a_lone_take_eventually(crashes: EncoderCrashes, now: MonotonicClock) -> None:
    start = now.at
    while not crashes.is_poison("bad"):
        crashes.note_crash("bad", alone=True)
        now.at += 60.0
    assert now.at - start >= CRASH_INTERVAL_ALONE * (CRASH_LIMIT - 1)


def test_success_clears_a_take(crashes: EncoderCrashes, now: MonotonicClock) -> None:
    for _ in range(CRASH_LIMIT - 1):
        crashes.note_crash("a", alone=False)
        crashes.note_encoded("b")
        now.at += CRASH_INTERVAL
    crashes.note_encoded("a")
    assert crashes.note_crash("a", alone=False) == 1


@pytest.mark.parametrize("seed", range(20))
def test_random_kills_quarantine_nothing(crashes: EncoderCrashes, now: MonotonicClock, seed: int) -> None:
    """Each take is retried every minute, and would have to crash about thirty times in a row."""
    chance = random.Random(seed)
    takes = [f"take {number}" for number in range(200)]
    while takes:
        for take in list(takes):
            if chance.random() < 0.5:
                crashes.note_crash(take, alone=len(takes) == 1)
            else:
                crashes.note_encoded(take)
                takes.remove(take)
            assert not crashes.is_poison(take)
        now.at += 60.0
