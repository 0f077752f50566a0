"""The provider's branding.  A frozen copy: this file does not change once a version was released."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0002_search"

TABLE = """
CREATE TABLE branding (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
)
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql(TABLE)  # type: ignore[no-untyped-call]
