"""Mail to people, which waits to be sent."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

SCHEMA = """
CREATE TABLE outgoing_mail (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    about TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL,
    until TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at TEXT NOT NULL,
    refused TEXT
);
CREATE INDEX outgoing_mail_tenant_id ON outgoing_mail (tenant_id);
CREATE INDEX outgoing_mail_until ON outgoing_mail (until);
CREATE INDEX outgoing_mail_next_at ON outgoing_mail (next_at);
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
