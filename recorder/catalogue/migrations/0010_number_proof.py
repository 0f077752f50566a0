"""Calls by which customers show that a number is theirs."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the table, and makes none of its calls."""

SCHEMA = """
CREATE TABLE number_proof (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number TEXT NOT NULL,
    language TEXT NOT NULL,
    ordered_at TEXT NOT NULL,
    until TEXT NOT NULL,
    node TEXT,
    taken_at TEXT,
    code_hash TEXT,
    valid_until TEXT,
    tries INTEGER NOT NULL,
    outcome TEXT,
    leaves TEXT,
    number_salt TEXT NOT NULL,
    line_id TEXT
);
CREATE INDEX number_proof_number ON number_proof (number);
CREATE INDEX number_proof_tenant_id_ordered_at ON number_proof (tenant_id, ordered_at);
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
