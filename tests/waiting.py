"""How tests wait for what other processes, threads and greenlets do."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent


def until(what: str, check: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until ``check`` is true, while this thread's greenlets go on. Fails with ``what`` after
    ``seconds``."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        gevent.sleep(0.02)
