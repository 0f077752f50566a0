"""Threads for the daemon's disk work.

gevent resolves host names in the hub's own threads. A hanging disk may block all threads of this pool, and
the switch can still be reached.
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
"""How many disk operations run at once; others queue."""


@cache
def _pool(hub: Hub) -> ThreadPool:
    """A pool serves the hub that created it, and the daemon has one hub."""
    return ThreadPool(THREADS, hub)


def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread; only the calling greenlet waits. Raises the work's exceptions, which
    gevent would also print if the thread raised them."""

    def attempt() -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    result, error = _pool(gevent.get_hub()).apply(attempt)
    if error is not None:
        raise error
    return cast("T", result)
