"""Rate limits shared by several processes, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from recorder.identity import throttle
from recorder.identity.throttle import RateLimit

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
THREE = RateLimit(3, 30)

pytestmark = [pytest.mark.usefixtures("catalogue"), pytest.mark.postgresql]


def waits(key: str, times: int, now: datetime = NOW) -> list[int]:
    return [throttle.take([(key, THREE)], now) for _ in range(times)]


def test_burst_then_steady_rate() -> None:
    assert waits("a", 5) == [0, 0, 0, 10, 10]
    assert waits("a", 2, NOW + timedelta(seconds=4)) == [6, 6]
    assert waits("a", 2, NOW + timedelta(seconds=10)) == [0, 10]
    assert waits("a", 4, NOW + timedelta(seconds=60)) == [0, 0, 0, 10]


def test_refused_attempt_is_not_counted() -> None:
    assert waits("full", 3) == [0, 0, 0]
    assert throttle.take([("b", THREE), ("full", THREE)], NOW) == 10
    assert waits("b", 4) == [0, 0, 0, 10]


def test_successful_attempt_is_not_counted() -> None:
    assert waits("c", 3) == [0, 0, 0]
    throttle.give_back([("c", THREE)])
    assert waits("c", 2) == [0, 10]
    throttle.clear("c", NOW)
    assert waits("c", 4) == [0, 0, 0, 10]


def test_concurrent_attempts_are_limited() -> None:
    waits: list[int] = []
    limit = RateLimit(5, 3600)
    start = threading.Barrier(12)

    def attempt() -> None:
        start.wait()
        waits.append(throttle.take([("d", limit)], NOW))

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(waits)[:6] == [0, 0, 0, 0, 0, 720]
    assert len(waits) == 12


def test_clock_jump_does_not_lock_out() -> None:
    assert waits("e", 3, NOW + timedelta(days=400)) == [0, 0, 0]
    assert waits("e", 4) == [0, 0, 0, 10]


def test_known_place_expires() -> None:
    throttle.take([("f", THREE), ("g", THREE)], NOW)
    assert not throttle.is_known_place("f", NOW)
    throttle.clear("f", NOW, remember=True)
    assert throttle.is_known_place("f", NOW)
    assert throttle.drop_old(NOW + timedelta(days=1)) == 1, "what leaked out and is no known place"
    assert throttle.is_known_place("f", NOW + timedelta(days=89))
    assert not throttle.is_known_place("f", NOW + timedelta(days=91))
    assert throttle.drop_old(NOW + timedelta(days=91)) == 1


def test_place_is_known_only_where_it_is_remembered_and_to_the_last_day() -> None:
    throttle.take([("h", THREE)], NOW)
    throttle.clear("h", NOW)
    assert not throttle.is_known_place("h", NOW)
    throttle.clear("h", NOW, remember=True)
    assert throttle.is_known_place("h", NOW + throttle.KNOWN - timedelta(milliseconds=1))
    assert not throttle.is_known_place("h", NOW + throttle.KNOWN)
    assert throttle.drop_old(NOW + throttle.KNOWN - timedelta(milliseconds=1)) == 0
    assert throttle.drop_old(NOW + throttle.KNOWN) == 1


def test_what_has_not_leaked_out_yet_is_not_dropped() -> None:
    assert waits("i", 3) == [0, 0, 0]
    assert throttle.drop_old(NOW + timedelta(milliseconds=29_999)) == 0
    assert waits("i", 1) == [10]
    assert throttle.drop_old(NOW + timedelta(seconds=30)) == 1
