"""The greenlets of the current test: what an earlier one left in the hub does not count as its work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import gevent

_STARTED: Final[list[gevent.Greenlet]] = []


@contextmanager
def watch() -> Iterator[None]:
    """Notice which greenlets start, and end them afterwards: none survives its test."""
    _STARTED.clear()
    gevent.Greenlet.add_spawn_callback(_STARTED.append)
    try:
        yield
    finally:
        gevent.Greenlet.remove_spawn_callback(_STARTED.append)
        gevent.killall(_alive())


def wait_idle(timeout: float = 20) -> bool:
    """Wait until those that started, and what they start, have ended; false: not in ``timeout`` seconds."""
    with gevent.Timeout(timeout, False):
        while alive := _alive():
            gevent.joinall(alive)
        return True
    return False


def _alive() -> list[gevent.Greenlet]:
    return [each for each in _STARTED if not each.dead]
