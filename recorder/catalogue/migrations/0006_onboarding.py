"""Numbers that customers set up in the panel: their drafts, and an index of the leaves about lines."""

from __future__ import annotations

from peewee import Database, PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

SCHEMA = """
CREATE TABLE line_draft (
    line_id TEXT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL,
    greeting BLOB,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    FOREIGN KEY (line_id) REFERENCES line (id) ON DELETE RESTRICT
);

CREATE INDEX log_leaf_line ON log_leaf (tenant_id, number)
WHERE kind IN ('line.created', 'line.announcement_changed', 'line.mode_changed', 'line.setup_changed',
'line.ended');
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    text = SCHEMA.replace("BLOB", "BYTEA") if isinstance(db, PostgresqlDatabase) else SCHEMA
    for statement in text.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
