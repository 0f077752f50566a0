"""No test here waits for the switch to have read its first frames, and nothing of one goes on in the next."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from recorder.capture import call_controller


@pytest.fixture(autouse=True)
def two_are_settled_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(call_controller, "SETTLED", 0.0)
    started: list[gevent.Greenlet] = []
    gevent.Greenlet.add_spawn_callback(started.append)
    yield
    gevent.Greenlet.remove_spawn_callback(started.append)
    gevent.killall([each for each in started if not each.dead])
