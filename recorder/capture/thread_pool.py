"""Threads for the daemon's disk work, and a few others for computation.

gevent resolves host names in the hub's own threads. A hanging disk may block all threads of the disk's pool,
and the switch can still be reached. Computation has a pool of its own, because calls wait for the disk's:
when many answers are searched for a voice at once, the next call's folder must still be made in time.
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

SEARCH_THREADS: Final = 4
"""How many searches run at once; more would delay the hub, because much of a search holds the interpreter's
lock."""


@cache
def _pool(hub: Hub, threads: int) -> ThreadPool:
    """A pool serves the hub that created it, and the daemon has one hub."""
    return ThreadPool(threads, hub)


def in_thread(work: Callable[[], T]) -> T:
    """Run disk work in a thread; only the calling greenlet waits. Raises the work's exceptions."""
    return _run(work, THREADS)


def in_search_thread(work: Callable[[], T]) -> T:
    """As :func:`in_thread`, for computation: never delays disk work."""
    return _run(work, SEARCH_THREADS)


def _run(work: Callable[[], T], threads: int) -> T:
    """The exceptions are carried over, because gevent would also print those that a thread raises."""

    def attempt() -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error  # raised below, in the greenlet that waits

    result, error = _pool(gevent.get_hub(), threads).apply(attempt)
    if error is not None:
        raise error
    return cast("T", result)
