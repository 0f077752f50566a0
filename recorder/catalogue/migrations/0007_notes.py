"""Notes and labels of recordings."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the table."""

SCHEMA = """
CREATE TABLE call_note (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER,
    text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    edited_at TEXT,
    deleted_at TEXT,
    deleted_by TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT,
    FOREIGN KEY (recording_id) REFERENCES recording (id) ON DELETE RESTRICT,
    FOREIGN KEY (user_id) REFERENCES user_account (id) ON DELETE RESTRICT
);
CREATE INDEX call_note_tenant_id ON call_note (tenant_id);
CREATE INDEX call_note_recording_id ON call_note (recording_id);
CREATE INDEX call_note_user_id ON call_note (user_id);
CREATE INDEX call_note_tenant_id_kind_text ON call_note (tenant_id, kind, text);
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
