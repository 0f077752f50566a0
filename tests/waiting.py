"""How tests wait for what other processes, threads and greenlets do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import gevent

T = TypeVar("T")


def until(what: str, check: Callable[[], T], seconds: float = 60.0, pause: float = 0.02) -> T:
    """Wait until ``check`` is true, while this thread's greenlets go on; returns its value. Fails with
    ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        gevent.sleep(pause)
    return value
