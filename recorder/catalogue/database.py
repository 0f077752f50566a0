"""The database behind the catalogue: opening it, connecting, writing, and the kinds of columns.

Types are the ones that SQLite and PostgreSQL keep alike: text, integers and blobs.  Times are RFC 3339
text in UTC of one fixed width (:func:`recorder.clock.to_iso`), so that they sort as text; lists and
mappings are JSON text with sorted keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from peewee import Database, DatabaseProxy, Field, Model, SqliteDatabase

from recorder.clock import from_iso, to_iso
from recorder.errors import CatalogueError

database = DatabaseProxy()
"""The catalogue that this process has opened with :func:`open_catalogue`."""

BUSY_MS = 5000
"""How long SQLite waits for the one writer."""


if TYPE_CHECKING:
    _Moment = Field[datetime]
    _MaybeMoment = Field[datetime | None]
    _Data = Field[Any]
else:  # peewee's fields are generic in their type stubs only
    _Moment = _MaybeMoment = _Data = Field


class MomentField(_Moment):
    """A time: aware UTC in Python, fixed-width RFC 3339 text in the database."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return to_iso(value) if isinstance(value, datetime) else value

    def python_value(self, value: Any) -> Any:
        return from_iso(value) if isinstance(value, str) else value


class MaybeMomentField(_MaybeMoment):
    """A time, or nothing yet."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return to_iso(value) if isinstance(value, datetime) else value

    def python_value(self, value: Any) -> Any:
        return from_iso(value) if isinstance(value, str) else value


class DataField(_Data):
    """A small list or mapping, as JSON text with sorted keys."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def python_value(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


class Row(Model):
    class Meta:
        database = database
        legacy_table_names = False


def make_database(url: str) -> Database:
    """The database of a URL, not yet connected.  ``sqlite:///relative`` or ``sqlite:////absolute``.

    Raises :class:`CatalogueError` for any other kind.
    """
    kind, separator, path = url.partition(":///")
    if kind != "sqlite" or not separator or not path:
        raise CatalogueError(
            "catalogue.url",
            f"the catalogue's address is not one this version opens: {kind or url!r}",
            "write sqlite:///var/lib/accord/catalogue.db",
        )
    return SqliteDatabase(
        path,
        pragmas={
            "journal_mode": "wal",
            "foreign_keys": 1,
            # FULL: the spool's copy goes after the row's commit, so the commit must be on the disk.
            "synchronous": 2,
            "busy_timeout": BUSY_MS,
        },
        timeout=BUSY_MS / 1000,
    )


def open_catalogue(url: str) -> Database:
    """Make ``url`` the catalogue of this process.  Connections are opened by :func:`connected`, one a
    thread (or greenlet, where threads are patched).  Raises :class:`CatalogueError`."""
    opened = make_database(url)
    database.initialize(opened)
    return opened


@contextmanager
def connected() -> Iterator[None]:
    """A connection for the time of a block; inside another such block, that one's."""
    if not database.is_closed():
        yield
        return
    database.connect()
    try:
        yield
    finally:
        database.close()


@contextmanager
def writing() -> Iterator[None]:
    """One transaction that may write, the only one at a time: do nothing in it that waits (no network,
    no file, no greenlet switch), for on SQLite it holds the one write lock.  Nested, it is a savepoint."""
    with connected():
        lock = ("IMMEDIATE",) if isinstance(database.obj, SqliteDatabase) else ()
        with database.atomic(*lock):
            yield
