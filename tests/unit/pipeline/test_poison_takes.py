"""Whose fault it is that encoders die."""

from __future__ import annotations

import random

import pytest

from recorder.pipeline.poison_takes import ALONE, APART, ENOUGH, Deaths
from tests.clock import MonotonicClock


@pytest.fixture
def now() -> MonotonicClock:
    return MonotonicClock(0.0)


@pytest.fixture
def deaths(now: MonotonicClock) -> Deaths:
    return Deaths(now)


def test_one_that_dies_while_others_are_encoded_is_set_aside(deaths: Deaths, now: MonotonicClock) -> None:
    for count in range(1, ENOUGH + 1):
        assert not deaths.enough("bad")
        assert deaths.died("bad", alone=False) == count
        deaths.encoded(f"good {count}")
        now.at += APART
    assert deaths.enough("bad")
    deaths.forget("bad")
    assert not deaths.enough("bad")


def test_where_none_is_encoded_none_is_set_aside(deaths: Deaths, now: MonotonicClock) -> None:
    for _ in range(100):
        for take in ("a", "b", "c"):
            assert deaths.died(take, alone=False) == 1
        now.at += ALONE


def test_what_was_encoded_before_its_last_death_says_nothing_of_the_next(
    deaths: Deaths, now: MonotonicClock
) -> None:
    deaths.died("a", alone=False)
    deaths.encoded("b")
    assert deaths.died("a", alone=False) == 1  # too soon
    now.at += APART  # and from here on, every encoder dies
    assert deaths.died("a", alone=False) == 1


def test_a_storm_does_not_set_aside_what_it_strikes_often(deaths: Deaths, now: MonotonicClock) -> None:
    """Out of memory for a while: many deaths of one take, with others encoded in between."""
    while now.at < APART * (ENOUGH - 1) - 2:
        deaths.died("a", alone=True)
        deaths.encoded("b")
        now.at += 1.0
    assert not deaths.enough("a")


def test_one_that_is_alone_is_set_aside_at_last(deaths: Deaths, now: MonotonicClock) -> None:
    began = now.at
    while not deaths.enough("bad"):
        deaths.died("bad", alone=True)
        now.at += 60.0
    assert now.at - began >= ALONE * (ENOUGH - 1)


def test_one_that_is_encoded_is_cleared(deaths: Deaths, now: MonotonicClock) -> None:
    for _ in range(ENOUGH - 1):
        deaths.died("a", alone=False)
        deaths.encoded("b")
        now.at += APART
    deaths.encoded("a")
    assert deaths.died("a", alone=False) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_killer_that_strikes_every_other_start_at_random_sets_nothing_aside(
    deaths: Deaths, now: MonotonicClock, seed: int
) -> None:
    """Each is tried again every minute, and would have to be struck some thirty times in a row."""
    chance = random.Random(seed)
    waiting = [f"take {number}" for number in range(200)]
    while waiting:
        for take in list(waiting):
            if chance.random() < 0.5:
                deaths.died(take, alone=len(waiting) == 1)
            else:
                deaths.encoded(take)
                waiting.remove(take)
            assert not deaths.enough(take)
        now.at += 60.0
