"""Logs a fault once when it begins and once when it ends, however often it is met in between.

Whatever is repeated (a duty, an upload, a connection) meets the same fault in every round: a line each would
fill the log in an outage, just when somebody reads it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from recorder.errors import AccordError

log = structlog.get_logger()

MOST_CAUSES: Final = 20
"""Causes of one fault that are logged: one that is called something else each time must not fill the log."""


@dataclass(slots=True)
class _Fault:
    since: float
    causes: set[str] = field(default_factory=set)
    failures: int = 0
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class LastingFault:
    """A fault that lasts, with its latest error and what to do about it, and since when (seconds)."""

    event: str
    subject: str
    message: str
    hint: str
    seconds: float


class FaultLog:
    """The faults that last, by event and subject. Safe for threads. ``monotonic`` returns seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._faults: dict[tuple[str, str], _Fault] = {}
        self._lock = threading.Lock()

    def report(
        self,
        event: str,
        error: Exception | str,
        subject: str = "",
        *,
        level: Literal["info", "warning", "error"] = "warning",
        **details: object,
    ) -> None:
        """Count a failure. It is logged as ``event`` (``duty.delayed``), with ``error`` (its id, too) and
        ``details``, if the fault begins with it, or has a cause that it did not have before: another error
        id, another class of exception, or another text. ``subject`` tells faults of one event apart; a detail
        that is ``None`` is left out."""
        with self._lock:
            fault = self._faults.setdefault((event, subject), _Fault(self._monotonic()))
            fault.failures += 1
            fault.message = " ".join(str(error).split()) or type(error).__name__
            fault.hint = error.hint if isinstance(error, AccordError) else ""
            cause = _cause(error)
            if cause in fault.causes or len(fault.causes) == MOST_CAUSES:
                return
            fault.causes.add(cause)
        if isinstance(error, AccordError):
            details = {"error_id": error.error_id, **details}
        present = {name: value for name, value in details.items() if value is not None}
        getattr(log, level)(event, error=" ".join(str(error).split()), **present)

    def list_faults(self, events: Container[str]) -> list[LastingFault]:
        """The faults of some events that last, the oldest first."""
        with self._lock:
            now, faults = self._monotonic(), list(self._faults.items())
        found = [
            LastingFault(event, subject, fault.message, fault.hint, now - fault.since)
            for (event, subject), fault in faults
            if event in events
        ]
        return sorted(found, key=lambda each: -each.seconds)

    def lasts(self, event: str) -> bool:
        """Whether a fault of an event lasts."""
        return any(name == event for name, _ in tuple(self._faults))

    def recover_others(self, event: str, subjects: Container[str]) -> None:
        """End every fault of an event that is not about one of ``subjects``."""
        for name, subject in tuple(self._faults):
            if name == event and subject not in subjects:
                self.recover(event, subject)

    def recover_all(self) -> None:
        """End every fault that lasts."""
        for event, subject in tuple(self._faults):
            self.recover(event, subject)

    def recover(self, event: str, subject: str = "", **details: object) -> None:
        """End a fault, if it lasts: logged as ``recovered`` (``duty.recovered``), with the number of failures
        and the seconds since the first one."""
        # Without the lock: almost always there is no fault, and this is called in every round.
        if (event, subject) not in self._faults:
            return
        with self._lock:
            fault = self._faults.pop((event, subject), None)
        if fault is not None:
            seconds = round(self._monotonic() - fault.since, 1)
            log.info(
                f"{event.partition('.')[0]}.recovered",
                fault=event,
                failures=fault.failures,
                seconds=seconds,
                **details,
            )


def _cause(error: Exception | str) -> str:
    if isinstance(error, AccordError):
        return error.error_id
    return error if isinstance(error, str) else type(error).__name__
