"""Second factors of users, and where their sessions are.

There is no ``SERVES``: a panel of an earlier version would let people in without their second factor.
"""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SCHEMA = """
CREATE TABLE second_factor (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL,
    app_key TEXT
);
CREATE INDEX second_factor_tenant_id ON second_factor (tenant_id);

CREATE TABLE second_factor_use (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    counter BIGINT NOT NULL,
    used_at TEXT NOT NULL
);
CREATE INDEX second_factor_use_user_id ON second_factor_use (user_id);

CREATE TABLE second_factor_reset (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    statement TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX second_factor_reset_tenant_id ON second_factor_reset (tenant_id);

CREATE TABLE sign_in_rule (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    statement TEXT NOT NULL
);

ALTER TABLE session ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN network TEXT NOT NULL DEFAULT '';

CREATE INDEX log_leaf_sign_in ON log_leaf (tenant_id, kind, number)
WHERE kind IN ('tenant.sign_in_changed', 'user.factor_reset_ended', 'user.factors_changed');
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
