"""No test waits for the settling time of a bridge, and no greenlet survives its test."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from recorder.capture import call_controller


@pytest.fixture(autouse=True)
def no_settling_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(call_controller, "SETTLING_TIME", 0.0)
    started: list[gevent.Greenlet] = []
    gevent.Greenlet.add_spawn_callback(started.append)
    yield
    gevent.Greenlet.remove_spawn_callback(started.append)
    gevent.killall([each for each in started if not each.dead])
