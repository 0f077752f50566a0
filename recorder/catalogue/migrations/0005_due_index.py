"""Indexes without tombstones, and none that another one begins with.  A frozen copy: this file does not
change once a version was released.
"""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0002_search"

STATEMENTS = (
    "CREATE INDEX recording_due ON recording (keep_until, id) WHERE erased_at IS NULL",
    "CREATE INDEX recording_import ON recording (import_sha256) WHERE import_sha256 IS NOT NULL",
    "DROP INDEX recording_tenant_id",
    "DROP INDEX recording_keep_until",
    "DROP INDEX recording_import_sha256",
    "DROP INDEX log_leaf_tenant_id",
)


def up(_migrator: SchemaMigrator, db: Database) -> None:
    for statement in STATEMENTS:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]
