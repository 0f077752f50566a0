"""SQLite as the catalogue: connections are kept, because each new one reads the whole schema, which takes
longer than a page's queries."""

from __future__ import annotations

import os
import sqlite3
import weakref
from pathlib import Path
from typing import Any

from playhouse.pool import PooledSqliteDatabase

BUSY_MS = 5000
"""How long SQLite waits for its single writer."""

IDLE = 8
"""Idle connections that are kept.  There is always one: closing the last connection checkpoints the WAL and
waits for the disk, which would delay even a playback's first byte."""


class _Connection(sqlite3.Connection):
    """A connection to a file, which knows its cursors."""

    def __init__(self, path: str, *arguments: Any, **options: Any) -> None:
        super().__init__(path, *arguments, **options)
        self.file = _identity(path)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        cursor: sqlite3.Cursor = super().cursor(*arguments, **options)
        self._cursors.add(cursor)
        return cursor

    def end_reads(self) -> None:
        """Close all cursors: one that was not read to its end would show the next user of the connection the
        catalogue as it was."""
        for each in list(self._cursors):
            each.close()
        self._cursors.clear()


class Sqlite(PooledSqliteDatabase):  # type: ignore[misc]
    """The catalogue's database in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            str(path),
            max_connections=None,
            pragmas={
                "journal_mode": "wal",
                "foreign_keys": 1,
                # FULL: the spool's copy is deleted after the row's commit, so the commit must be durable.
                "synchronous": 2,
                "busy_timeout": BUSY_MS,
                # Erased numbers are overwritten in the file, too; not every build of SQLite does so by
                # default.
                "secure_delete": 1,
            },
            timeout=BUSY_MS / 1000,
            factory=_Connection,
            # One thread at a time: the pool hands a connection to one, and gets it back.
            check_same_thread=False,
        )

    def _is_closed(self, connection: _Connection) -> bool:
        """Whether the connection is of no use: the file may have been replaced, as by a restore."""
        if connection.file == _identity(self.database):
            return False
        connection.close()
        return True

    def _can_reuse(self, connection: _Connection) -> bool:
        connection.end_reads()
        return len(self._connections) < IDLE and bool(super()._can_reuse(connection))


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at a path."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
