"""The database behind the catalogue: opening it, connecting, writing, and the kinds of columns.

Types are the ones that SQLite and PostgreSQL keep alike: text, integers and blobs.  Times are RFC 3339
text in UTC of one fixed width (:func:`recorder.clock.to_iso`), so that they sort as text; lists and
mappings are JSON text with sorted keys.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from peewee import (
    Database,
    DatabaseError,
    DatabaseProxy,
    Field,
    IntegrityError,
    InternalError,
    Model,
    OperationalError,
    SqliteDatabase,
)

from recorder import metrics
from recorder.clock import from_iso, to_iso
from recorder.errors import CatalogueError

database = DatabaseProxy()
"""The catalogue that this process has opened with :func:`open_catalogue`."""

BUSY_MS = 5000
"""How long SQLite waits for the one writer."""

CONNECTIONS = 20
"""To a PostgreSQL server, of each process."""

AWAY = (OperationalError, InternalError)
"""What a database raises that is not there, was restarted, is full, or takes no writes any more."""


if TYPE_CHECKING:
    _Moment = Field[datetime]
    _MaybeMoment = Field[datetime | None]
    _Data = Field[Any]
else:  # peewee's fields are generic in their type stubs only
    _Moment = _MaybeMoment = _Data = Field


class _MomentText:
    """Aware UTC in Python, fixed-width RFC 3339 text in the database."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return to_iso(value) if isinstance(value, datetime) else value

    def python_value(self, value: Any) -> Any:
        return from_iso(value) if isinstance(value, str) else value


class MomentField(_MomentText, _Moment):
    """A time."""


class MaybeMomentField(_MomentText, _MaybeMoment):
    """A time, or nothing yet."""


class DataField(_Data):
    """A small list or mapping, as JSON text with sorted keys."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def python_value(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


class Table(Model):
    class Meta:
        database = database
        legacy_table_names = False


def make_database(url: str, *, connections: int = CONNECTIONS, limited: bool = True) -> Database:
    """The database of an address, not yet connected: ``sqlite:///relative``, ``sqlite:////absolute`` or
    ``postgresql://user@host/name``.  Of ``connections`` a PostgreSQL server is asked for at most so many at a
    time; with ``limited`` false its answers may take as long as they take.

    Raises :class:`CatalogueError`: ``catalogue.url``, ``catalogue.driver_missing``.
    """
    kind = kind_of(url)
    if kind == "postgresql":
        opened: Database = _postgresql().Postgres(url, connections=connections, limited=limited)
        return opened
    return SqliteDatabase(
        str(sqlite_path(url)),
        pragmas={
            "journal_mode": "wal",
            "foreign_keys": 1,
            # FULL: the spool's copy goes after the row's commit, so the commit must be on the disk.
            "synchronous": 2,
            "busy_timeout": BUSY_MS,
        },
        timeout=BUSY_MS / 1000,
    )


def kind_of(url: str) -> Literal["sqlite", "postgresql"]:
    """What an address is of.  Raises :class:`CatalogueError` (``catalogue.url``)."""
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        return "postgresql"
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return "sqlite"
    raise CatalogueError(
        "catalogue.url",
        f"this version opens no catalogue of the kind {scheme if separator else 'that has no name'!r}",
        "write sqlite:///var/lib/accord/catalogue.db or postgresql://user@host/accord",
    )


def sqlite_path(url: str) -> Path:
    """The file of a SQLite address."""
    return Path(url.partition(":///")[2])


def without_password(url: str) -> str:
    """An address without its password, for people and logs.  Raises :class:`CatalogueError`."""
    return str(_postgresql().shown(url)) if kind_of(url) == "postgresql" else url


def _postgresql() -> Any:
    try:
        from recorder.catalogue import postgresql
    except ImportError as error:
        raise CatalogueError(
            "catalogue.driver_missing",
            f"PostgreSQL's driver cannot be loaded: {error}",
            "pip install 'accord-recorder[postgresql]'",
        ) from error
    return postgresql


def open_catalogue(url: str, *, connections: int = CONNECTIONS) -> Database:
    """Make ``url`` the catalogue of this process.  Connections are opened by :func:`connected`, one a
    thread (or greenlet, where threads are patched).  Raises :class:`CatalogueError`."""
    opened = make_database(url, connections=connections)
    _keep_open(sqlite_path(url) if kind_of(url) == "sqlite" else None)
    database.initialize(opened)
    return opened


_kept: list[sqlite3.Connection] = []


def _keep_open(file: Path | None) -> None:
    """Have a connection to a SQLite file that is never used.  The last one to be closed copies all that was
    written into the file, and waits for the disk: without this one that is each, before a play's first byte
    too."""
    while _kept:
        _kept.pop().close()
    if file is not None and file.exists():
        idle = sqlite3.connect(file, check_same_thread=False)
        idle.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _kept.append(idle)


@contextmanager
def connected() -> Iterator[None]:
    """A connection for the time of a block; inside another such block, that one's.

    Raises :class:`CatalogueError` (``catalogue.away``) where the database cannot be reached, goes away
    meanwhile, or takes nothing (a full disk)."""
    try:
        if not database.is_closed():
            yield
            return
        database.connect()
        try:
            yield
        finally:
            database.close()
    except AWAY as error:
        metrics.CATALOGUE_ERRORS.labels(metrics.AWAY).inc()
        raise unavailable(error) from error
    except IntegrityError:
        raise  # an answer: whoever asked knows what it means
    except DatabaseError:
        metrics.CATALOGUE_ERRORS.labels(metrics.FAILED).inc()
        raise


@contextmanager
def writing() -> Iterator[None]:
    """One transaction that may write: do nothing in it that waits (no network, no file, no greenlet switch).
    Nested, it is a savepoint.

    On SQLite it holds the one write lock, so that it sees nothing change.  On PostgreSQL (read committed)
    others write meanwhile: what depends on what was read begins with
    :func:`recorder.auditlog.append.lock_tenant`, which lets one writer a tenant through at a time, or is a
    conditional UPDATE."""
    with connected():
        lock = ("IMMEDIATE",) if isinstance(database.obj, SqliteDatabase) else ()
        timed = nullcontext() if database.in_transaction() else metrics.CATALOGUE_WRITE.time()
        with timed, database.atomic(*lock):
            yield


def unavailable(error: Exception) -> CatalogueError:
    """What a database says that cannot be used just now, in our words."""
    # On a full disk SQLite rolls back by itself, and the rollback's own error would hide why.
    while "no transaction is active" in str(error) and isinstance(error.__context__, Exception):
        error = error.__context__
    said = " ".join(str(error.args[0] if error.args else error).split())
    return CatalogueError(
        "catalogue.away",
        f"the catalogue cannot be used: {said}",
        "`accord doctor` says more; nothing is lost, work goes on once it is back",
    )
