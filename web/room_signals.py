"""Wakes the streams of rooms in this process when their room changes."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

MOST_STREAMS: Final = 800
"""Streams of one process: each occupies a connection for as long as somebody is in a room."""

CUSTOMER_STREAMS: Final = 100
"""Streams of the rooms of one customer."""

SESSION_STREAMS: Final = 4
"""Streams of one session: its tabs."""


@dataclass(eq=False, slots=True)
class RoomStream:
    """One stream of a room of a ``tenant``, opened by a ``session``; ``is_closed``: it is to end."""

    room: str
    tenant: str
    session: str
    is_closed: bool = False


class RoomSignals:
    """Counts the changes of each room. Safe to share among threads and greenlets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: Counter[str] = Counter()
        self._waiters: dict[str, threading.Condition] = {}
        self._streams: dict[RoomStream, None] = {}
        """Those that last, oldest first."""
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

    def open(self, room: str, tenant: str, session: str) -> RoomStream | None:
        """Begin a stream of a customer's room for a session. Where the session, its customer or the panel has
        as many as it may, the session's own oldest stream is ended for it; ``None`` if it has none, or the
        panel ends."""
        stream = RoomStream(room, tenant, session)
        with self._lock:
            own = [each for each in self._streams if each.session == session]
            of_customer = sum(each.tenant == tenant for each in self._streams)
            is_full = len(self._streams) >= MOST_STREAMS or of_customer >= CUSTOMER_STREAMS
            if self._is_closed or (is_full and not own):
                return None
            waiter = None
            if is_full or len(own) >= SESSION_STREAMS:
                own[0].is_closed = True
                waiter = self._waiters.get(own[0].room)
                self._drop(own[0])
            self._streams[stream] = None
            self._waiters.setdefault(room, threading.Condition())
        if waiter is not None:
            with waiter:
                waiter.notify_all()
        return stream

    def close_stream(self, stream: RoomStream) -> None:
        """End a stream. Idempotent."""
        with self._lock:
            self._drop(stream)

    def _drop(self, stream: RoomStream) -> None:
        self._streams.pop(stream, None)
        if not any(each.room == stream.room for each in self._streams):
            self._changes.pop(stream.room, None)
            self._waiters.pop(stream.room, None)

    def count(self, room: str) -> int:
        """How many changes of a room were counted."""
        return self._changes[room]

    def wait(self, stream: RoomStream, count: int, seconds: float) -> None:
        """Wait until a stream's room has changed since ``count``, for so many seconds at most, or until the
        stream or the panel ends."""
        room, waiter = stream.room, self._waiters.get(stream.room)
        if waiter is None:
            return
        with waiter:
            waiter.wait_for(
                lambda: self._is_closed or stream.is_closed or self._changes[room] != count, seconds
            )

    def close(self) -> None:
        """End all streams: the panel ends."""
        self._is_closed = True
        for waiter in list(self._waiters.values()):
            with waiter:
                waiter.notify_all()
