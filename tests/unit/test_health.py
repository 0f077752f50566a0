"""Readiness: answered in time, whatever hangs, and cheap however often it is queried."""

from __future__ import annotations

import threading
import time

from structlog.testing import capture_logs

from recorder import health
from recorder.errors import StoreError
from recorder.health import HealthFinding, Readiness
from tests.clock import MonotonicClock


def test_results_and_exceptions_are_findings() -> None:
    def away() -> HealthFinding:
        raise StoreError("store.unreachable", "it is away", "nothing is lost")

    found = Readiness({"good": lambda: HealthFinding(True, "fine"), "away": away, "odd": lambda: 1 // 0})()
    assert found["good"] == HealthFinding(True, "fine")
    assert found["away"] == HealthFinding(False, "it is away", "nothing is lost")
    assert not found["odd"].ok
    assert "ZeroDivisionError" in found["odd"].what


def test_hanging_check_is_reported_in_time_and_not_restarted() -> None:
    release, started = threading.Event(), []

    def hangs() -> HealthFinding:
        started.append(1)
        release.wait(30)
        return HealthFinding(True, "at last")

    ready = Readiness({"hangs": hangs, "good": lambda: HealthFinding(True, "fine")}, limit=0.2)
    try:
        for _ in range(3):
            start = time.monotonic()
            found = ready()
            assert time.monotonic() - start < 1.0
            assert found["good"].ok
            assert "does not answer" in found["hangs"].what
        assert started == [1]
    finally:
        release.set()
    deadline = time.monotonic() + 10
    while not ready()["hangs"].ok:
        assert time.monotonic() < deadline


def test_frequent_queries_run_a_check_once() -> None:
    checks, clock = [], MonotonicClock(100.0)

    def look() -> HealthFinding:
        checks.append(1)
        return HealthFinding(True, f"look {len(checks)}")

    ready = Readiness({"one": look}, monotonic=clock)
    assert [ready()["one"].what for _ in range(5)] == ["look 1"] * 5
    clock.at += health.FRESH
    assert ready()["one"].what == "look 2"


def test_an_unhealthy_check_is_repeated_sooner() -> None:
    checks, clock = [], MonotonicClock(100.0)

    def look() -> HealthFinding:
        checks.append(1)
        return HealthFinding(False, "away")

    ready = Readiness({"one": look}, monotonic=clock)
    for _ in range(3):
        ready()
    assert len(checks) == 1
    clock.at += health.UNHEALTHY_FRESH
    ready()
    assert len(checks) == 2


def test_a_failed_check_is_logged_once() -> None:
    clock, answers = MonotonicClock(100.0), [True, False, False, False, True, True]

    def look() -> HealthFinding:
        if not answers.pop(0):
            raise StoreError("store.unreachable", "it is away", "try again")
        return HealthFinding(True, "fine")

    ready = Readiness({"store": look}, limit=10.0, monotonic=clock)
    with capture_logs() as logs:
        while answers:
            ready()
            clock.at += health.FRESH
    assert [(line["event"], line["check"], line.get("failures")) for line in logs] == [
        ("health.check_failed", "store", None), ("health.recovered", "store", 3),
    ]  # fmt: skip
