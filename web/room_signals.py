"""Wakes the streams of rooms in this process when their room changes."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

MOST_STREAMS: Final = 800
"""Streams of one process: each occupies a connection for as long as somebody is in a room."""


class RoomSignals:
    """Counts the changes of each room. Safe to share among threads and greenlets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: Counter[str] = Counter()
        self._waiters: dict[str, threading.Condition] = {}
        self._streams: Counter[str] = Counter()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def receive(self, room: str | None) -> None:
        """A room has changed; ``None``: any may have."""
        with self._lock:
            rooms = list(self._waiters) if room is None else [room]
            waiters = [self._waiters[each] for each in rooms if each in self._waiters]
            self._changes.update(each for each in rooms if each in self._waiters)
        for waiter in waiters:
            with waiter:
                waiter.notify_all()

    def open(self, room: str) -> bool:
        """Begin a stream of a room; false if there are too many already, or the panel ends."""
        with self._lock:
            if self._is_closed or self._streams.total() >= MOST_STREAMS:
                return False
            self._streams[room] += 1
            self._waiters.setdefault(room, threading.Condition())
            return True

    def close_stream(self, room: str) -> None:
        """End a stream of a room."""
        with self._lock:
            self._streams[room] -= 1
            if self._streams[room] <= 0:
                del self._streams[room]
                self._waiters.pop(room, None)
                self._changes.pop(room, None)

    def count(self, room: str) -> int:
        """How many changes of a room were counted."""
        return self._changes[room]

    def wait(self, room: str, count: int, seconds: float) -> None:
        """Wait until a room has changed since ``count``, for so many seconds at most, or until the panel
        ends."""
        waiter = self._waiters.get(room)
        if waiter is None:
            return
        with waiter:
            waiter.wait_for(lambda: self._is_closed or self._changes[room] != count, seconds)

    def close(self) -> None:
        """End all streams: the panel ends."""
        self._is_closed = True
        for waiter in list(self._waiters.values()):
            with waiter:
                waiter.notify_all()
