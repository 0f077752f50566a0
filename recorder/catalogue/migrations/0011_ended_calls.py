"""Calls that have ended and are being stored."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the table, and lists none of its own calls in it."""

SCHEMA = """
CREATE TABLE ended_call (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    node TEXT NOT NULL,
    line_id TEXT,
    number TEXT NOT NULL,
    direction TEXT NOT NULL,
    external_kind TEXT NOT NULL,
    external_value TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    announced INTEGER NOT NULL,
    seen_at TEXT NOT NULL
);
CREATE INDEX ended_call_tenant_id ON ended_call (tenant_id);
CREATE INDEX ended_call_node ON ended_call (node);
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
