"""The database behind the catalogue: connections, transactions, and column types.

Only types that SQLite and PostgreSQL store alike are used: text, integers and blobs. Times are RFC 3339 text
in UTC of one fixed width (:func:`recorder.clock.to_iso`), so they sort as text; lists and mappings are JSON
text with sorted keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

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
from recorder.catalogue.sqlite import Sqlite
from recorder.clock import from_iso, to_iso
from recorder.errors import CatalogueError

database = DatabaseProxy()
"""The catalogue of this process, set by :func:`open_catalogue`."""

CONNECTIONS = 20
"""Connections of each process to a PostgreSQL server."""

AWAY = (OperationalError, InternalError)
"""Errors of a database that is unreachable, restarting, full, or read-only."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A transaction of many changes. ``log_sizes`` are those of the tenants that it has locked; ``facts`` are
    what it has read, by what they are about (:func:`read_once`). ``finish``
    are its last statements, by what they write: changes that many have in common are written once."""

    log_sizes: dict[str, int] = field(default_factory=dict)
    facts: dict[tuple[str, str], Any] = field(default_factory=dict)
    finish: dict[str, Callable[[], None]] = field(default_factory=dict)


_batch: ContextVar[Batch | None] = ContextVar("batch", default=None)


class Transaction:
    """The identity of one outermost transaction (:func:`writing`)."""

    __slots__ = ()


_transaction: ContextVar[Transaction | None] = ContextVar("transaction", default=None)


Fact = TypeVar("Fact")

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
    """A time, or ``None``."""


class DataField(_Data):
    """A small list or mapping, as JSON text with sorted keys."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def python_value(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


LEAF_NUMBER: Final = "the number of the leaf that confirms the row: with a wrong one, the row is ignored"
WORK_QUEUE: Final = "a work queue: each item is checked again before anything is done"


class Table(Model):
    not_copied: ClassVar[str] = ""
    """Why a backup has none of this table's rows; empty if it has them."""

    not_compared: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Columns that an audit compares with nothing, and the reason why it need not."""

    offboarding: ClassVar[Literal["kept", "emptied", "deleted"]] = "kept"
    """What happens to a customer's rows when the customer leaves. Those of a table that says ``deleted`` are
    deleted by that word alone; :mod:`recorder.features.offboarding.queries` empties the others."""

    class Meta:
        database = database
        legacy_table_names = False


def make_database(url: str, *, connections: int = CONNECTIONS, limited: bool = True) -> Database:
    """The database at a URL, not yet connected: ``sqlite:///relative``, ``sqlite:////absolute`` or
    ``postgresql://user@host/name``. ``connections`` bounds the pool of a PostgreSQL server; without
    ``limited``, its statements have no time limit.

    Raises :class:`CatalogueError`: ``catalogue.url``, ``catalogue.driver_missing``.
    """
    kind = kind_of(url)
    if kind == "postgresql":
        opened: Database = _postgresql().Postgres(url, connections=connections, limited=limited)
        return opened
    return Sqlite(sqlite_path(url))


def kind_of(url: str) -> Literal["sqlite", "postgresql"]:
    """The kind of database at a URL. Raises :class:`CatalogueError` (``catalogue.url``)."""
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        return "postgresql"
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return "sqlite"
    raise CatalogueError(
        "catalogue.url",
        f"unsupported kind of catalogue {scheme!r}" if separator else "the catalogue's URL has no scheme",
        "use sqlite:////var/lib/accord/catalogue.db or postgresql://user@host/accord",
    )


def sqlite_path(url: str) -> Path:
    """The file of a SQLite URL."""
    return Path(url.partition(":///")[2])


def without_password(url: str) -> str:
    """A URL without its password, for people and logs. Raises :class:`CatalogueError`."""
    return str(_postgresql().without_password(url)) if kind_of(url) == "postgresql" else url


def _postgresql() -> Any:
    try:
        from recorder.catalogue import postgresql
    except ImportError as error:
        raise CatalogueError(
            "catalogue.driver_missing",
            f"PostgreSQL's driver cannot be loaded: {error}",
            "run pip install 'accord-recorder[postgresql]'",
        ) from error
    return postgresql


def open_catalogue(url: str, *, connections: int = CONNECTIONS) -> Database:
    """Make ``url`` the catalogue of this process. :func:`connected` opens connections, one per thread (or per
    greenlet, if threads are patched). Raises :class:`CatalogueError`."""
    opened = make_database(url, connections=connections)
    if isinstance(database.obj, Sqlite):
        database.obj.close_idle()
    database.initialize(opened)
    return opened


@contextmanager
def connected() -> Iterator[None]:
    """A connection for the duration of a block; a nested block reuses it.

    Raises :class:`CatalogueError` (``catalogue.away``) if the database is unreachable, goes away meanwhile,
    or cannot write (a full disk)."""
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
        raise  # the database works: the caller handles it
    except DatabaseError:
        metrics.CATALOGUE_ERRORS.labels(metrics.FAILED).inc()
        raise


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that may write. Do nothing in it that waits: no network, no file, no greenlet switch. A
    nested one is a savepoint.

    On SQLite it holds the single write lock, so nothing changes while it runs. On PostgreSQL (read committed)
    others write meanwhile: a write that depends on an earlier read either is a conditional UPDATE, or begins
    with :func:`recorder.auditlog.append.lock_tenant`, which admits one writer per tenant."""
    with connected():
        if _batch.get() is not None:
            yield
            return
        lock = ("IMMEDIATE",) if isinstance(database.obj, SqliteDatabase) else ()
        timed = nullcontext() if database.in_transaction() else metrics.CATALOGUE_WRITE.time()
        with timed, database.atomic(*lock), _identified():
            yield


@contextmanager
def _identified() -> Iterator[None]:
    """Gives the outermost transaction its identity; a nested one is part of it."""
    if _transaction.get() is not None:
        yield
        return
    token = _transaction.set(Transaction())
    try:
        yield
    finally:
        _transaction.reset(token)


def current_transaction() -> Transaction | None:
    """The transaction that this code runs in, ``None`` outside."""
    return _transaction.get()


@contextmanager
def batch() -> Iterator[None]:
    """A transaction of many changes, all of them undone if one fails: a :func:`writing` in it is no
    savepoint, which would cost two statements each time. So an error must leave the block. It keeps others
    from writing as long as it lasts."""
    with writing():
        token = _batch.set(found := Batch())
        try:
            yield
            for write in found.finish.values():
                write()
        finally:
            _batch.reset(token)


def current_batch() -> Batch | None:
    """The batch that this code runs in."""
    return _batch.get()


def read_once(what: str, about: str, read: Callable[[], Fact]) -> Fact:
    """What ``read`` returns; in a batch it reads once. Nobody else must be able to change it meanwhile: for a
    fact about a tenant, the batch has locked the tenant."""
    batch = _batch.get()
    if batch is None:
        return read()
    if (what, about) not in batch.facts:
        batch.facts[what, about] = read()
    found: Fact = batch.facts[what, about]
    return found


def forget(what: str, about: str) -> None:
    """Read a fact again, because it was changed."""
    if (batch := _batch.get()) is not None:
        batch.facts.pop((what, about), None)


def unavailable(error: Exception) -> CatalogueError:
    """The error for operators when the database is unavailable."""
    # On a full disk SQLite rolls back by itself, and the error of our own rollback would hide the cause.
    while "no transaction is active" in str(error) and isinstance(error.__context__, Exception):
        error = error.__context__
    reason = " ".join(str(error.args[0] if error.args else error).split())
    return CatalogueError(
        "catalogue.away",
        f"the catalogue cannot be used: {reason}",
        "run `accord doctor` for details; nothing is lost, and work resumes when the catalogue is back",
    )
