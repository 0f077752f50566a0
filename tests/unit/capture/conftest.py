"""No test waits for the settling time of a bridge, and no greenlet survives its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recorder.capture import call_controller
from tests import greenlets


@pytest.fixture(autouse=True)
def no_settling_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(call_controller, "SETTLING_TIME", 0.0)
    with greenlets.watch():
        yield
