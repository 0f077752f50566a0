"""Catalogues for tests, copied from one migrated SQLite file: the migrations take longer than most tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from peewee import Database, SqliteDatabase

from recorder.catalogue import database, schema


def make_catalogue(url: str) -> None:
    """Make the catalogue at ``url``: copy it where SQLite has none there yet, otherwise migrate."""
    if database.kind_of(url) == "sqlite" and not (file := database.sqlite_path(url)).exists():
        file.write_bytes(_template())
        file.chmod(0o600)
    else:
        schema.migrate(url)


def open_catalogue(url: str) -> Database:
    """Make ``url`` the catalogue of this process.  SQLite does not wait for the disk."""
    opened = database.open_catalogue(url)
    if isinstance(opened, SqliteDatabase):
        opened.pragma("synchronous", 0, permanent=True)
        opened.close()
    return opened


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="accord-catalogue-") as folder:
        file = Path(folder) / "catalogue.db"
        schema.migrate(f"sqlite:///{file}")
        return file.read_bytes()
