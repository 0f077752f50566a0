"""When each node's daemon last watched its switch."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the table, and its nodes are not in it."""


def up(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql(  # type: ignore[no-untyped-call]
        "CREATE TABLE node_watch (node TEXT NOT NULL PRIMARY KEY, watched_at TEXT NOT NULL,"
        " reported_at TEXT NOT NULL)"
    )
