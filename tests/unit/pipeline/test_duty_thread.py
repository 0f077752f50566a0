"""A duty repeats, backs off after a failure, and ends when it is stopped."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from recorder import metrics
from recorder.errors import CatalogueError
from recorder.pipeline.duty_thread import DutyThread


@dataclass
class Counter(DutyThread):
    """Raises each of ``errors`` once, then counts its turns."""

    errors: list[Exception] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    turns: int = 0
    counted: threading.Event = field(default_factory=threading.Event)

    NAME: ClassVar[str] = "counter"
    INTERVAL: ClassVar[float] = 0.001
    BACK_OFF: ClassVar[float] = 0.001

    def turn(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.turns += 1
        if self.turns == 3:
            self.counted.set()

    def delayed(self, error: Exception) -> None:
        self.reported.append(f"delayed: {error}")

    def failed(self) -> None:
        self.reported.append("failed")


def thread() -> threading.Thread | None:
    return next((each for each in threading.enumerate() if each.name == Counter.NAME), None)


@pytest.mark.parametrize(
    ("error", "reported", "bugs"),
    [
        (CatalogueError("catalogue.away", "no answer"), "delayed: no answer", 0),
        (OSError("disk full"), "delayed: disk full", 0),
        (KeyError("a bug"), "failed", 1),
    ],
)
def test_continues_after_a_failure_until_it_is_stopped(error, reported, bugs) -> None:
    before = metrics.UNHANDLED_ERRORS._value.get()
    duty = Counter([error])
    duty.start()
    assert duty.counted.wait(10)
    running_thread = thread()
    duty.stop()
    assert running_thread is not None
    running_thread.join(10)
    assert not running_thread.is_alive()
    assert duty.reported == [reported]
    assert metrics.UNHANDLED_ERRORS._value.get() == before + bugs
