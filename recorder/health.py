"""Readiness: whether a process can do its work now. It can be queried at any rate, and answers quickly.

A check is a function that returns its finding, or raises. Each runs in its own thread (a greenlet if threads
are patched), once at a time: a check that hangs is reported as "does not answer" and not started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from recorder.errors import AccordError
from recorder.fault_log import FaultLog

LIMIT = 2.0
"""Maximum seconds until the answer, whatever hangs."""

FRESH = 5.0
"""Seconds for which a finding is reused, so that frequent requests cost nothing."""

UNHEALTHY_FRESH = 2.0
"""The same for an unhealthy one, whose end is awaited."""


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """A check's result, and what to do about an unhealthy one (``hint``)."""

    ok: bool
    what: str
    hint: str = ""

    def body(self) -> dict[str, object]:
        """The finding as a JSON object."""
        return {"ok": self.ok, "what": self.what} | ({"hint": self.hint} if self.hint else {})


Check = Callable[[], HealthFinding]
"""Checks one thing. An exception becomes an unhealthy finding."""


@dataclass
class _RunningCheck:
    name: str
    check: Check
    lock: threading.Lock = field(default_factory=threading.Lock)
    finish: threading.Event = field(default_factory=threading.Event)
    faults: FaultLog = field(default_factory=FaultLog)
    finding: HealthFinding | None = None
    at: float = float("-inf")
    since: float | None = None

    def start(self, now: float, monotonic: Callable[[], float]) -> None:
        with self.lock:
            fresh = FRESH if self.finding is None or self.finding.ok else UNHEALTHY_FRESH
            if self.since is not None or now - self.at < fresh:
                return
            self.since = now
            self.finish.clear()
        threading.Thread(target=self._run, args=(monotonic,), name=f"check-{self.name}", daemon=True).start()

    def _run(self, monotonic: Callable[[], float]) -> None:
        try:
            finding = self.check()
        except AccordError as error:
            self.faults.report("health.check_failed", error, check=self.name)
            finding = HealthFinding(False, error.message, error.hint)
        except Exception as error:
            # Whatever a database or a disk raises, it is unhealthy.
            self.faults.report("health.check_failed", error, check=self.name, exc_info=error)
            finding = HealthFinding(False, f"{type(error).__name__}: {error}", "see the process's log")
        else:
            self.faults.recover("health.check_failed", check=self.name)
        with self.lock:
            self.finding, self.at, self.since = finding, monotonic(), None
        self.finish.set()

    def found(self, now: float) -> HealthFinding:
        with self.lock:
            if self.since is not None or self.finding is None:
                wait_s = now - (self.since if self.since is not None else now)
                return HealthFinding(
                    False,
                    f"does not answer: asked {wait_s:.0f} s ago",
                    "check whether it is stopped, overloaded or unreachable",
                )
            return self.finding


class Readiness:
    """The named checks of one process. ``monotonic`` returns seconds."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        limit: float = LIMIT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = [_RunningCheck(name, check) for name, check in checks.items()]
        self._limit = limit
        self._monotonic = monotonic

    def __call__(self) -> dict[str, HealthFinding]:
        """Every check's finding, by name; takes at most ``limit`` seconds."""
        start = self._monotonic()
        for each in self._checks:
            each.start(start, self._monotonic)
        for each in self._checks:
            each.finish.wait(max(0.0, self._limit - (self._monotonic() - start)))
        now = self._monotonic()
        return {each.name: each.found(now) for each in self._checks}
