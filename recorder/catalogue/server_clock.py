"""The database server's clock."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from peewee import SqliteDatabase

from recorder.catalogue.database import connected, database
from recorder.clock import Now

_ASK = "SELECT clock_timestamp(), host(inet_server_addr()), host(inet_client_addr())"


def time_of_catalogue() -> datetime | None:
    """The server's time (UTC); ``None`` if the server is this machine. Raises :class:`CatalogueError`."""
    with connected():
        if isinstance(database.obj, SqliteDatabase):
            return None
        at, server, client = database.execute_sql(_ASK).fetchone()
    if server is None or server == client or ipaddress.ip_address(server).is_loopback:
        return None  # over a Unix socket, or from one of this machine's addresses to itself
    time: datetime = at.astimezone(UTC)
    return time


def clock_offset(now: Now) -> timedelta:
    """This machine's clock minus the server's, wherever the server is; zero with SQLite, which has none.
    Raises :class:`CatalogueError`."""
    with connected():
        if isinstance(database.obj, SqliteDatabase):
            return timedelta()
        before = now()
        at: datetime = database.execute_sql("SELECT clock_timestamp()").fetchone()[0]
        return before + (now() - before) / 2 - at
