"""Whether a process can do its work now; can be asked at any rate, and always answers quickly.

A check is a function that returns its finding, or raises. Each runs in a thread of its own (a greenlet if
threads are patched), at most one at a time: a check that hangs is reported as "does not answer", and not
started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from recorder.errors import AccordError

log = structlog.get_logger()

LIMIT = 2.0
"""Seconds that an answer may take, whatever hangs."""

FRESH = 2.0
"""Seconds for which a finding is reused, so that frequent requests cost nothing."""


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """``what`` was found and, if it is not healthy, what to do (``hint``)."""

    ok: bool
    what: str
    hint: str = ""

    def body(self) -> dict[str, object]:
        """As JSON."""
        return {"ok": self.ok, "what": self.what} | ({"hint": self.hint} if self.hint else {})


Check = Callable[[], HealthFinding]
"""Checks one thing. An exception becomes its finding."""


@dataclass
class _Looking:
    name: str
    check: Check
    lock: threading.Lock = field(default_factory=threading.Lock)
    done: threading.Event = field(default_factory=threading.Event)
    finding: HealthFinding | None = None
    at: float = float("-inf")
    since: float | None = None

    def start(self, now: float, monotonic: Callable[[], float]) -> None:
        with self.lock:
            if self.since is not None or now - self.at < FRESH:
                return
            self.since = now
            self.done.clear()
        threading.Thread(target=self._look, args=(monotonic,), name=f"check-{self.name}", daemon=True).start()

    def _look(self, monotonic: Callable[[], float]) -> None:
        try:
            finding = self.check()
        except AccordError as error:
            finding = HealthFinding(False, error.message, error.hint)
        except Exception as error:
            # Anything that a database or a disk raises means that it is unhealthy; the log has the details.
            log.info("health.check_failed", check=self.name, exc_info=error)
            finding = HealthFinding(False, f"{type(error).__name__}: {error}", "the process's log says more")
        with self.lock:
            self.finding, self.at, self.since = finding, monotonic(), None
        self.done.set()

    def found(self, now: float) -> HealthFinding:
        with self.lock:
            if self.since is not None or self.finding is None:
                waited = now - (self.since if self.since is not None else now)
                return HealthFinding(
                    False, f"does not answer: asked {waited:.0f} s ago", "is it stopped, overloaded, away?"
                )
            return self.finding


class Readiness:
    """Named checks of one process. ``monotonic`` is seconds, passed in for tests."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        limit: float = LIMIT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._looking = [_Looking(name, check) for name, check in checks.items()]
        self._limit = limit
        self._monotonic = monotonic

    def __call__(self) -> dict[str, HealthFinding]:
        """Every check's finding; takes at most ``limit`` seconds."""
        began = self._monotonic()
        for each in self._looking:
            each.start(began, self._monotonic)
        for each in self._looking:
            each.done.wait(max(0.0, self._limit - (self._monotonic() - began)))
        now = self._monotonic()
        return {each.name: each.found(now) for each in self._looking}
