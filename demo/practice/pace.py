"""The practice switch's clock: the machine's, or a faster one."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import gevent

from recorder.clock import Now, utc_now


class Pace:
    """Time inside the practice switch. ``speed`` 1.0 is real time; at 10.0, ten seconds of a call pass in
    one. Everything in the switch, audio included, follows it."""

    def __init__(self, speed: float = 1.0, now: Now = utc_now) -> None:
        if not speed > 0:
            raise ValueError("speed must be positive")
        self.speed = speed
        self._start = now()
        self._zero = time.monotonic()

    def seconds(self) -> float:
        """Seconds of call time since the clock was made."""
        return (time.monotonic() - self._zero) * self.speed

    def now(self) -> datetime:
        """The time of a call, UTC."""
        return self._start + timedelta(seconds=self.seconds())

    def micros(self) -> int:
        """The time of a call in microseconds since 1970, as in ``Event-Date-Timestamp``."""
        return int(self.now().timestamp() * 1_000_000)

    def sleep(self, seconds: float) -> None:
        """Let that many seconds of call time pass."""
        gevent.sleep(self.real(seconds))

    def real(self, seconds: float) -> float:
        """Seconds of the machine's time that ``seconds`` of call time take."""
        return max(0.0, seconds) / self.speed
