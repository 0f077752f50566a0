"""The catalogue's schema: migrated by ``accord migrate``, checked by every other command.

Migrations are numbered files in ``migrations/``; until the first release, the first one makes what the
models say. peewee's runner applies them in order and records them in ``schema_migration``. Only ``accord
migrate`` changes the schema.

Nodes are upgraded one after another, so the schema may be newer than a node's version. A migration that only
adds something declares in ``SERVES`` the oldest migration whose version can still use the new schema; without
``SERVES``, no older version can. The table ``schema_serves`` has the result for the whole schema, because an
older version does not have the newer files.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peewee import Database, DatabaseError, IntegerField, Model, OperationalError, Select, SqliteDatabase, fn
from playhouse.migrations import Migration, Runner
from playhouse.pool import PooledDatabase

from recorder import metrics
from recorder.catalogue.database import kind_of, make_database, sqlite_path, unavailable, without_password
from recorder.errors import CatalogueError

FOLDER = Path(__file__).parent / "migrations"

FIRST = "0001_initial"
"""The migration that creates a catalogue."""

LOCK_TIMEOUT_S = 60.0
"""Seconds that ``accord migrate`` waits for another one to end."""

LOCK = 0x6163636F7264
"""PostgreSQL's advisory lock for ``accord migrate``: "accord" in ASCII."""


def migrate(url: str, *, folder: Path = FOLDER, patience: float = LOCK_TIMEOUT_S) -> tuple[str, ...]:
    """Migrate a catalogue, creating it if there is none; returns the names of the applied migrations. Each is
    one transaction. A second command waits up to ``patience`` seconds for the first.

    Raises :class:`CatalogueError`: ``catalogue.away``, ``catalogue.newer``, ``catalogue.migrating``."""
    try:
        with _exclusive(url, patience) as database:
            runner = Runner(database, str(folder))
            missing = _missing_migrations(runner)
            # Before the migration: an older version must never see the new schema without this row.
            _write_served(database, runner)
            return tuple(runner.up()) if missing else ()
    except OperationalError as error:
        raise _unavailable(url, error) from error


def check_schema(url: str, *, folder: Path = FOLDER) -> None:
    """Check that this version can use the catalogue's schema. Raises :class:`CatalogueError`:
    ``catalogue.away``, ``catalogue.older``, ``catalogue.newer``, ``catalogue.not_ours``."""
    if kind_of(url) == "sqlite" and not sqlite_path(url).exists():
        raise CatalogueError(
            "catalogue.older", f"there is no catalogue at {sqlite_path(url)}", "run `accord migrate`"
        )
    database = make_database(url)
    try:
        with database.connection_context():
            runner = Runner(database, str(folder))
            missing = _missing_migrations(runner)
            _expose_schema(runner)
    except OperationalError as error:
        raise _unavailable(url, error) from error
    except DatabaseError as error:
        raise CatalogueError(
            "catalogue.not_ours",
            f"{without_password(url)} is not a catalogue: {error}",
            "check url in section [catalogue]",
        ) from error
    finally:
        _close(database)
    if missing:
        raise CatalogueError(
            "catalogue.older",
            f"the catalogue's schema lacks {', '.join(missing)}",
            "back up the catalogue, then run `accord migrate`",
        )


def newest_migration(folder: Path = FOLDER) -> str:
    """The name of the newest migration that this version has."""
    return str(Migration.load_directory(str(folder))[-1].name)


def oldest_migration_served(folder: Path = FOLDER) -> str:
    """The name of the oldest migration whose version can use the schema of this one."""
    steps = Migration.load_directory(str(folder))
    number = max(_served(step) for step in steps)
    return next(str(step.name) for step in steps if int(step.idx) == number)


def _missing_migrations(runner: Runner) -> list[str]:
    """Names of the migrations that the catalogue lacks. Raises :class:`CatalogueError` if it has unknown ones
    that do not serve this version."""
    steps = runner.status()
    missing = [step.name for step in steps if not step.applied]
    unknown = [step.name for step in steps if step.path is None]
    oldest = _read_served(runner.database) if unknown and not missing else None
    if unknown and (oldest is None or oldest > _newest_known(runner)):
        raise CatalogueError(
            "catalogue.newer",
            f"the catalogue was migrated by a newer version of Accord (it has {', '.join(unknown)})",
            "install that version here too, or restore the backup from before its `accord migrate`",
        )
    return missing


def _expose_schema(runner: Runner) -> None:
    """Expose the newest applied migration as a metric."""
    applied = [step.name for step in runner.status() if step.applied]
    metrics.CATALOGUE_SCHEMA.clear()
    if applied:
        metrics.CATALOGUE_SCHEMA.labels(applied[-1]).set(1)


def _newest_known(runner: Runner) -> int:
    """The number of the newest migration that this version has."""
    return max(int(step.idx) for step in runner.migrations())


def _served(step: Migration) -> int:
    """The number of the oldest migration whose version can use the schema after this one."""
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
    """The number of the oldest migration whose version can use the catalogue, as recorded in it."""
    table = _table(database)
    row = table.select().first() if database.table_exists(table) else None
    return None if row is None else int(row.oldest)


def _write_served(database: Database, runner: Runner) -> None:
    if any(step.path is None for step in runner.status()):
        return  # a newer version has written it
    table = _table(database)
    with database.atomic():
        table.create_table(safe=True)
        table.delete().execute()
        table.insert(oldest=max(_served(step) for step in runner.migrations())).execute()


@contextmanager
def _exclusive(url: str, patience: float) -> Iterator[Database]:
    """A connected database, under the lock of ``accord migrate``, which is released when the process ends.
    Raises :class:`CatalogueError` (``catalogue.migrating``)."""
    database = make_database(url, limited=False)
    descriptor = _make_private(url) if kind_of(url) == "sqlite" else None
    try:
        until = time.monotonic() + patience
        while not _try_lock(database, descriptor):
            if time.monotonic() >= until:
                raise CatalogueError(
                    "catalogue.migrating",
                    "another `accord migrate` is running on this catalogue",
                    "wait for it to end; its lock is released when its process ends",
                )
            time.sleep(0.1)
        database.connect(reuse_if_open=True)
        yield database
    finally:
        _close(database)
        if descriptor is not None:
            os.close(descriptor)


def _try_lock(database: Database, descriptor: int | None) -> bool:
    if not isinstance(database, SqliteDatabase):
        assert isinstance(database, PooledDatabase)
        (success,) = database.execute(Select(columns=[fn.pg_try_advisory_lock(LOCK)])).fetchone()
        return bool(success)
    if descriptor is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _close(database: Database) -> None:
    """Close the connection, and those of its pool."""
    assert isinstance(database, PooledDatabase)
    database.close_all()


def _make_private(url: str) -> int | None:
    """An open descriptor of a SQLite file, created if there is none, with access for its owner only (SQLite
    gives its other files the same mode): it says who called whom, and the switch is in Accord's group. Close
    it last: closing any descriptor of a file drops the process's POSIX locks on it. ``None`` if the file
    cannot be opened: SQLite reports the reason."""
    try:
        return os.open(sqlite_path(url), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _unavailable(url: str, error: Exception) -> CatalogueError:
    known = unavailable(error)
    hint = (
        "check that the server runs, that the database exists (createdb), and that this user may log in "
        "(password in ~/.pgpass)"
        if kind_of(url) == "postgresql"
        else "check that its folder exists and that Accord may write there"
    )
    return CatalogueError(known.error_id, f"{without_password(url)}: {known.message}", hint)
