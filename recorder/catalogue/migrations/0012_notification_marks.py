"""Single notifications that an admin has marked as read or as unread."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the column: to it, what was marked by itself is as it was before."""


def up(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql(  # type: ignore[no-untyped-call]
        "ALTER TABLE notification_choice ADD COLUMN read_marks TEXT NOT NULL DEFAULT '{}'"
    )
