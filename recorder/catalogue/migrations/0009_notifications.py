"""Notifications, and what each admin has chosen and read."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the tables."""

SCHEMA = """
CREATE TABLE notification (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    key TEXT NOT NULL,
    line_id TEXT,
    recording_id TEXT,
    data TEXT NOT NULL,
    since TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    changed_at TEXT NOT NULL,
    mailed TEXT,
    mailed_at TEXT,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE INDEX notification_recording_id ON notification (recording_id);
CREATE UNIQUE INDEX notification_tenant_id_key ON notification (tenant_id, key);
CREATE INDEX notification_tenant_id_changed_at ON notification (tenant_id, changed_at);
CREATE TABLE notification_choice (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    choices TEXT NOT NULL,
    read_until TEXT
);
CREATE INDEX notification_choice_tenant_id ON notification_choice (tenant_id);
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
