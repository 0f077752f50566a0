"""How far the daemon is behind the switch's events, as it is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recorder import metrics
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.event_lag import WINDOW, EventLag
from recorder.switch.esl_events import EslEvent
from tests.clock import MonotonicClock

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def seconds() -> MonotonicClock:
    return MonotonicClock()


def test_a_late_event_is_shown_for_a_while(seconds: MonotonicClock) -> None:
    lag = EventLag(seconds)
    assert lag.longest() == 0.0
    lag.begin(3.0)
    lag.end()
    seconds.at += WINDOW - 0.1
    lag.begin(0.01)
    lag.end()
    assert lag.longest() == 3.0
    seconds.at += WINDOW + 0.2
    assert lag.longest() < 0.1
    seconds.at += 5 * WINDOW
    assert lag.longest() == 0.0


def test_an_event_in_progress_ages(seconds: MonotonicClock) -> None:
    lag = EventLag(seconds)
    lag.begin(0.5)
    seconds.at += 100
    assert lag.longest() == 100.5
    lag.end()
    seconds.at += 2 * WINDOW
    assert lag.longest() == 0.0


def test_daemon_measures_each_event(tmp_path: Any) -> None:
    daemon = Daemon(DaemonSettings("n", tmp_path / "spool", tmp_path / "snapshot", "x"), now=lambda: NOW)
    at = int((NOW - timedelta(seconds=7)).timestamp() * 1e6)
    before = metrics.EVENT_LAG._sum.get()
    daemon.observer.handle_event(
        EslEvent(f"\nEvent-Name: DTMF\nEvent-Date-Timestamp: {at}\nUnique-ID: nobodys\n\n".encode())
    )
    assert daemon.observer.lag.longest() == 7.0
    assert metrics.EVENT_LAG._sum.get() == before + 7.0
