"""Invitations, the lines that a colleague sees, links to set a password, and mail that waits to be sent."""

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

CREATE TABLE invitation (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    lines TEXT,
    language TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    statement TEXT,
    created_at TEXT NOT NULL,
    until TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT
);
CREATE INDEX invitation_tenant_id ON invitation (tenant_id);
CREATE UNIQUE INDEX invitation_token_sha256 ON invitation (token_sha256);

CREATE TABLE account_link (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    until TEXT NOT NULL
);
CREATE INDEX account_link_tenant_id ON account_link (tenant_id);
CREATE INDEX account_link_until ON account_link (until);

ALTER TABLE user_account ADD COLUMN lines TEXT;

CREATE INDEX log_leaf_team ON log_leaf (tenant_id, number)
    WHERE kind IN ('user.access_changed', 'user.login_changed', 'invitation.created', 'invitation.renewed',
        'invitation.withdrawn', 'invitation.accepted');
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
