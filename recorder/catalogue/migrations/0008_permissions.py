"""Colleagues who may download recordings, and an index of the leaves about plans and permissions."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the table, and lets no colleague download."""

SCHEMA = """
CREATE TABLE download_permission (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
);
CREATE INDEX download_permission_tenant_id ON download_permission (tenant_id);

CREATE INDEX log_leaf_permission ON log_leaf (tenant_id, kind, number)
WHERE kind IN ('tenant.created', 'tenant.plan_changed', 'user.download_changed');
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
