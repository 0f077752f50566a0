"""The catalogue's schema: brought up to date by ``accord migrate``, looked at by everything else.

Migrations are numbered files in ``migrations/``, run in order by peewee's own runner and written down in
``schema_migration``.  Nothing but ``accord migrate`` changes a schema.

Several nodes are upgraded one after another, so a schema may be newer than a node's Accord.  A migration
that only adds says in ``SERVES`` which migration an Accord must know at least to go on with the schema that
it leaves; one without serves nobody of before.  The catalogue keeps what holds for its schema as a whole
(``schema_serves``), because an older Accord cannot read newer files.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peewee import Database, DatabaseError, IntegerField, Model, OperationalError, Select, fn
from playhouse.migrations import Migration, Runner
from playhouse.pool import PooledDatabase

from recorder import metrics
from recorder.catalogue.database import kind_of, make_database, sqlite_path, unavailable, without_password
from recorder.errors import CatalogueError

FOLDER = Path(__file__).parent / "migrations"

FIRST = "0001_initial"
"""The migration that makes a catalogue."""

ALONE_S = 60.0
"""How long ``accord migrate`` waits for another one to end."""

LOCK = 0x6163636F7264
"""PostgreSQL's advisory lock of ``accord migrate``: the letters of its name."""


def migrate(url: str, *, folder: Path = FOLDER, patience: float = ALONE_S) -> tuple[str, ...]:
    """Bring a catalogue up to date, making it where there is none; returns the names of what was
    applied.  Each migration is one transaction, and two commands at once come one after the other.

    Raises :class:`CatalogueError`: ``catalogue.away``, ``catalogue.newer``, ``catalogue.migrating``."""
    try:
        with _alone(url, patience) as database:
            runner = Runner(database, str(folder))
            missing = _look(runner)
            # Before the change: who is not served any more must never find the change and not this.
            _write_served(database, runner)
            return tuple(runner.up()) if missing else ()
    except OperationalError as error:
        raise _away(url, error) from error


def check_schema(url: str, *, folder: Path = FOLDER) -> None:
    """Raise :class:`CatalogueError` unless this version can work with the catalogue's schema:
    ``catalogue.away``, ``catalogue.older``, ``catalogue.newer``, ``catalogue.not_ours``."""
    if kind_of(url) == "sqlite" and not sqlite_path(url).exists():
        raise CatalogueError(
            "catalogue.older", f"there is no catalogue at {sqlite_path(url)}", "run `accord migrate`"
        )
    database = make_database(url)
    try:
        with database.connection_context():
            runner = Runner(database, str(folder))
            missing = _look(runner)
            _show(runner)
    except OperationalError as error:
        raise _away(url, error) from error
    except DatabaseError as error:
        raise CatalogueError(
            "catalogue.not_ours", f"{without_password(url)} is no catalogue: {error}", "look at [catalogue] url"
        ) from error
    finally:
        _close(database)
    if missing:
        raise CatalogueError(
            "catalogue.older",
            f"the catalogue's schema lacks {', '.join(missing)}",
            "make a copy of the catalogue, and run `accord migrate`",
        )


def _look(runner: Runner) -> list[str]:
    """Names of the migrations that the catalogue lacks.  Raises :class:`CatalogueError` where it has some
    that this version does not know, unless they serve it."""
    steps = runner.status()
    missing = [step.name for step in steps if not step.applied]
    unknown = [step.name for step in steps if step.path is None]
    oldest = _read_served(runner.database) if unknown and not missing else None
    if unknown and (oldest is None or oldest > _level(runner)):
        raise CatalogueError(
            "catalogue.newer",
            f"the catalogue was made by a newer Accord (it has {', '.join(unknown)})",
            "install that version here too, or restore the copy from before its `accord migrate`",
        )
    return missing


def _show(runner: Runner) -> None:
    """The newest step that the catalogue has had, for whoever watches."""
    applied = [step.name for step in runner.status() if step.applied]
    metrics.CATALOGUE_SCHEMA.clear()
    if applied:
        metrics.CATALOGUE_SCHEMA.labels(applied[-1]).set(1)


def _level(runner: Runner) -> int:
    """The number of the newest migration that this version knows."""
    return max(int(step.idx) for step in runner.migrations())


def _served(step: Migration) -> int:
    """The number of the oldest migration whose Accord can go on after this one."""
    return int(getattr(step.load(), "SERVES", step.name).partition("_")[0])


def _table(database: Database) -> type[Model]:
    db = database

    class Served(Model):
        oldest = IntegerField(primary_key=True)

        class Meta:
            database = db
            table_name = "schema_serves"

    return Served


def _read_served(database: Database) -> int | None:
    """What the catalogue says of its schema: who is older than this number is not served any more."""
    table = _table(database)
    row = table.select().first() if database.table_exists(table) else None
    return None if row is None else int(row.oldest)


def _write_served(database: Database, runner: Runner) -> None:
    if any(step.path is None for step in runner.status()):
        return  # a newer version has said it
    table = _table(database)
    with database.atomic():
        table.create_table(safe=True)
        table.delete().execute()
        table.insert(oldest=max(_served(step) for step in runner.migrations())).execute()


@contextmanager
def _alone(url: str, patience: float) -> Iterator[Database]:
    """A connected database, and the lock of ``accord migrate``: it goes with the process, however that ends.
    Raises :class:`CatalogueError` (``catalogue.migrating``)."""
    database = make_database(url, limited=False)
    descriptor = _make_private(url) if kind_of(url) == "sqlite" else None
    try:
        until = time.monotonic() + patience
        while not _locked(database, descriptor):
            if time.monotonic() >= until:
                raise CatalogueError(
                    "catalogue.migrating",
                    "another `accord migrate` is at work on this catalogue",
                    "wait for it to end; it holds nothing once its process has gone",
                )
            time.sleep(0.1)
        database.connect(reuse_if_open=True)
        yield database
    finally:
        _close(database)
        if descriptor is not None:
            os.close(descriptor)


def _locked(database: Database, descriptor: int | None) -> bool:
    if isinstance(database, PooledDatabase):
        (taken,) = database.execute(Select(columns=[fn.pg_try_advisory_lock(LOCK)])).fetchone()
        return bool(taken)
    if descriptor is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _close(database: Database) -> None:
    """Its connections, and those that a pool keeps."""
    if isinstance(database, PooledDatabase):
        database.close_all()
    else:
        database.close()


def _make_private(url: str) -> int | None:
    """An open descriptor of a SQLite file, made where there is none: it is its owner's alone (SQLite
    gives its other files the same mode): who called whom is in it, and the switch is of Accord's group.  Two
    connections of a process must not lose their locks by its being closed: it is closed last.  ``None`` where
    the file cannot be opened: SQLite says why."""
    try:
        return os.open(sqlite_path(url), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _away(url: str, error: Exception) -> CatalogueError:
    said = unavailable(error)
    hint = (
        "is the server there, may this user log in (~/.pgpass holds the password), and has somebody made the "
        "database (createdb)?"
        if kind_of(url) == "postgresql"
        else "does its folder exist, and may Accord write there?"
    )
    return CatalogueError(said.error_id, f"{without_password(url)}: {said.message}", hint)
