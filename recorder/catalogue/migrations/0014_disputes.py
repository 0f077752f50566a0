"""Disputes, their signed statements, the calls that verify guests, and rooms."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"
"""An older version does not see the tables. It refuses guests, whose role it does not know."""

SCHEMA = """
CREATE TABLE dispute_statement (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
);
CREATE UNIQUE INDEX dispute_statement_dispute_id_number ON dispute_statement (dispute_id, number);
CREATE TABLE dispute (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    settle_by TEXT NOT NULL,
    closed_at TEXT,
    final_at TEXT,
    page_token TEXT
);
CREATE INDEX dispute_final_at ON dispute (final_at);
CREATE UNIQUE INDEX dispute_page_token ON dispute (page_token);
CREATE INDEX dispute_tenant_id_closed_at_settle_by ON dispute (tenant_id, closed_at, settle_by);
CREATE TABLE dispute_recording (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    recording_id TEXT NOT NULL
);
CREATE INDEX dispute_recording_dispute_id ON dispute_recording (dispute_id);
CREATE INDEX dispute_recording_recording_id ON dispute_recording (recording_id);
CREATE TABLE dispute_guest (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    dispute_id TEXT NOT NULL,
    role TEXT NOT NULL,
    token_sha256 TEXT
);
CREATE INDEX dispute_guest_role ON dispute_guest (role);
CREATE INDEX dispute_guest_dispute_id ON dispute_guest (dispute_id);
CREATE UNIQUE INDEX dispute_guest_token_sha256 ON dispute_guest (token_sha256);
CREATE TABLE dispute_call (
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
    dispute_id TEXT NOT NULL,
    guest_id TEXT NOT NULL,
    number_salt TEXT NOT NULL
);
CREATE INDEX dispute_call_number ON dispute_call (number);
CREATE INDEX dispute_call_guest_id ON dispute_call (guest_id);
CREATE INDEX dispute_call_tenant_id_ordered_at ON dispute_call (tenant_id, ordered_at);
CREATE TABLE room (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    recording_id TEXT NOT NULL,
    playing INTEGER NOT NULL,
    position_ms INTEGER NOT NULL,
    at_ms BIGINT NOT NULL,
    rate INTEGER NOT NULL,
    leader TEXT NOT NULL
);
CREATE INDEX room_tenant_id ON room (tenant_id);
CREATE TABLE room_member (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seen_ms BIGINT NOT NULL,
    ready INTEGER NOT NULL
);
CREATE INDEX room_member_tenant_id ON room_member (tenant_id);
CREATE INDEX room_member_room_id ON room_member (room_id);
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
