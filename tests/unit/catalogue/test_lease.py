"""A worker's turn at work that is repeated for all workers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue.tables import lease

FOR = timedelta(minutes=1)


def take_turn(owner: str, now) -> bool:
    with lease.turn("count", owner, now, FOR) as mine:
        return mine


def test_worker_keeps_its_turn_until_it_is_over(clock, catalogue) -> None:
    assert take_turn("one", clock())
    assert not take_turn("two", clock.forward(seconds=59))
    assert take_turn("one", clock()), "again, and for longer"
    assert not take_turn("two", clock.forward(seconds=59))
    assert take_turn("two", clock.forward(seconds=1))
    assert not take_turn("one", clock())


def test_failure_gives_the_turn_to_whoever_comes_next(clock, catalogue) -> None:
    with pytest.raises(OSError, match="no store"), lease.turn("count", "one", clock(), FOR):
        raise OSError("no store")
    assert take_turn("two", clock())
    with pytest.raises(OSError, match="no store"), lease.turn("count", "one", clock(), FOR):
        raise OSError("no store")
    assert not take_turn("three", clock()), "it was never the first one's"


def test_turn_of_a_clock_that_was_ahead_is_over(clock, catalogue) -> None:
    assert take_turn("one", clock() + timedelta(days=1))
    assert take_turn("two", clock())
