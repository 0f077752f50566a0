"""The daemon's disk work, in threads of its own.

gevent resolves names in the threads of the hub: a disk that hangs may take all of those here, and the
switch is still found again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar, cast

import gevent
from gevent.hub import Hub
from gevent.threadpool import ThreadPool

T = TypeVar("T")

THREADS: Final = 10
"""How much disk work goes on at once; what is more waits its turn, in order."""


@cache
def _pool(hub: Hub) -> ThreadPool:
    """A pool serves the hub that it was made in, and the daemon has one."""
    return ThreadPool(THREADS, hub)


def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread; only the greenlet waits.  What the work raises is raised here, and not
    printed there."""

    def attempt() -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    result, error = _pool(gevent.get_hub()).apply(attempt)
    if error is not None:
        raise error
    return cast("T", result)
