"""Messages between the panel's processes that something has changed, so that nobody has to ask.

With PostgreSQL they are its ``NOTIFY`` and ``LISTEN``; with SQLite there is one panel process, and they stay
in it. A message may be lost while the server is away: after a reconnect, listeners look at everything again.
A payload is an id: what has changed is read from the tables (PostgreSQL refuses more than 8,000 bytes).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

from peewee import SqliteDatabase

from recorder.catalogue.database import connected, database
from recorder.fault_log import FaultLog

Receive = Callable[[str | None], None]
"""Called with the payload of each message; with ``None`` after messages may have been lost."""

RETRY_S = 1.0
"""Seconds until a lost connection is tried again."""

LOOK_S = 5.0
"""Seconds between two looks whether to stop."""

_local: dict[str, list[Receive]] = defaultdict(list)


def send(channel: str, payload: str) -> None:
    """Send a message, after the change is committed. Raises :class:`recorder.errors.CatalogueError`."""
    if isinstance(database.obj, SqliteDatabase):
        for receive in tuple(_local[channel]):
            receive(payload)
        return
    with connected():
        database.execute_sql("SELECT pg_notify(%s, %s)", (channel, payload))


class Listener:
    """Receives the messages of a channel, in a thread of its own where there is a server."""

    def __init__(self, channel: str, receive: Receive) -> None:
        self._channel, self._receive = channel, receive
        self._stops = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if isinstance(database.obj, SqliteDatabase):
            _local[self._channel].append(self._receive)
            return
        self._thread = threading.Thread(target=self._run, name="change-messages", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stops.set()
        if self._receive in _local[self._channel]:
            _local[self._channel].remove(self._receive)
        if self._thread is not None:
            self._thread.join(LOOK_S + RETRY_S)

    def _run(self) -> None:
        from recorder.catalogue import postgresql

        faults = FaultLog()
        while not self._stops.is_set():
            try:
                for payload in postgresql.listen(database.obj, self._channel, LOOK_S, self._stops.is_set):
                    faults.recover("catalogue.listening_lost")
                    self._receive(payload)
            except postgresql.CONNECTION_ERRORS as error:
                faults.report("catalogue.listening_lost", error)
                self._stops.wait(RETRY_S)
