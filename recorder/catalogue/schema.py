"""The catalogue's schema: brought up to date by ``accord migrate``, looked at by everything else.

Migrations are numbered files in ``migrations/``, run in order by peewee's own runner and written down in
``schema_migration``.  Nothing but ``accord migrate`` changes a schema.
"""

from __future__ import annotations

import os
from pathlib import Path

from peewee import DatabaseError, OperationalError
from playhouse.migrations import Runner

from recorder.catalogue.models import make_database
from recorder.errors import CatalogueError

FOLDER = Path(__file__).parent / "migrations"


def migrate(url: str) -> tuple[str, ...]:
    """Bring a catalogue up to date, making it where there is none; returns the names of what was
    applied.  Each migration is one transaction.  Raises :class:`CatalogueError`: ``catalogue.away``,
    ``catalogue.newer``."""
    database = make_database(url)
    _make_private(url)
    try:
        with database.connection_context():
            runner = Runner(database, str(FOLDER))
            _refuse_newer(runner)
            return tuple(runner.up())
    except OperationalError as error:
        raise _away(url, error) from error


def check_schema(url: str) -> None:
    """Raise :class:`CatalogueError` unless the catalogue has this version's schema: ``catalogue.away``,
    ``catalogue.older``, ``catalogue.newer``, ``catalogue.not_ours``."""
    path = Path(url.partition(":///")[2])
    if url.startswith("sqlite:") and not path.exists():
        raise CatalogueError("catalogue.older", f"there is no catalogue at {path}", "run `accord migrate`")
    database = make_database(url)
    try:
        with database.connection_context():
            runner = Runner(database, str(FOLDER))
            _refuse_newer(runner)
            missing = [step.name for step in runner.status() if not step.applied]
    except OperationalError as error:
        raise _away(url, error) from error
    except DatabaseError as error:
        raise CatalogueError(
            "catalogue.not_ours", f"{url} is no catalogue: {error}", "look at [catalogue] url"
        ) from error
    if missing:
        raise CatalogueError(
            "catalogue.older",
            f"the catalogue's schema lacks {', '.join(missing)}",
            "stop Accord's processes, make a copy of the catalogue, and run `accord migrate`",
        )


def _make_private(url: str) -> None:
    """A new SQLite file is its owner's and group's alone (SQLite gives its other files the same mode):
    who called whom is in it."""
    path = Path(url.partition(":///")[2])
    if url.startswith("sqlite:") and path.parent.is_dir() and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o640))


def _refuse_newer(runner: Runner) -> None:
    unknown = [step.name for step in runner.status() if step.path is None]
    if unknown:
        raise CatalogueError(
            "catalogue.newer",
            f"the catalogue was made by a newer Accord (it has {', '.join(unknown)})",
            "install that version again, or restore the copy from before its `accord migrate`",
        )


def _away(url: str, error: Exception) -> CatalogueError:
    return CatalogueError(
        "catalogue.away",
        f"{url} cannot be opened: {error}",
        "does its folder exist, and may Accord write there?",
    )
