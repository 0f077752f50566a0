"""No test waits for the settling time of a bridge, and no greenlet survives its test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import gevent
import pytest

from recorder.capture import call_controller


@pytest.fixture(autouse=True)
def no_settling_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(call_controller, "SETTLING_TIME", 0.0)
    yield
    gevent.killall([one for one in gc.get_objects() if isinstance(one, gevent.Greenlet) and not one.dead])
