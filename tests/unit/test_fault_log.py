"""A fault is logged when it begins and when it ends."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from recorder.errors import CatalogueError
from recorder.fault_log import MOST_CAUSES, FaultLog
from tests.clock import MonotonicClock

AWAY = CatalogueError("catalogue.away", "no answer", "run `accord doctor`")


@pytest.fixture
def seconds() -> MonotonicClock:
    return MonotonicClock()


@pytest.fixture
def faults(seconds: MonotonicClock) -> FaultLog:
    return FaultLog(seconds)


def test_a_fault_is_logged_once_and_its_end_says_how_often(faults: FaultLog, seconds: MonotonicClock) -> None:
    with capture_logs() as logs:
        for _ in range(500):
            faults.report("duty.delayed", AWAY, "limits", duty="limits", hint=None)
            seconds.at += 60
        faults.recover("duty.delayed", "limits", duty="limits")
        faults.recover("duty.delayed", "limits", duty="limits")
    assert logs == [
        {"event": "duty.delayed", "log_level": "warning", "error": "no answer (run `accord doctor`)",
         "error_id": "catalogue.away", "duty": "limits"},
        {"event": "duty.recovered", "log_level": "info", "fault": "duty.delayed", "failures": 500,
         "seconds": 30_000.0, "duty": "limits"},
    ]  # fmt: skip


def test_another_cause_is_logged_too(faults: FaultLog) -> None:
    with capture_logs() as logs:
        for error in (AWAY, OSError("disk full"), AWAY, OSError("disk gone"), "a text", "a text"):
            faults.report("command.delayed", error, level="error")
    errors: list[Any] = [line["error"] for line in logs]
    assert errors == [str(AWAY), "disk full", "a text"]
    assert {line["log_level"] for line in logs} == {"error"}


def test_subjects_are_apart(faults: FaultLog) -> None:
    with capture_logs() as logs:
        faults.report("take.delayed", AWAY, "a", recording="a")
        faults.report("take.delayed", AWAY, "b", recording="b")
        faults.recover("take.delayed", "a", recording="a")
        faults.report("take.delayed", AWAY, "b", recording="b")
        faults.report("take.delayed", AWAY, "a", recording="a")
    assert [(line["event"], line["recording"]) for line in logs] == [
        ("take.delayed", "a"), ("take.delayed", "b"), ("take.recovered", "a"), ("take.delayed", "a"),
    ]  # fmt: skip


def test_a_cause_that_always_changes_does_not_fill_the_log(faults: FaultLog) -> None:
    with capture_logs() as logs:
        for number in range(10_000):
            faults.report("switch.down", f"reason {number}")
        faults.recover_all()
    assert len(logs) == MOST_CAUSES + 1
    assert logs[-1]["failures"] == 10_000
