"""Usage by day, and the indexes of the access log."""

from __future__ import annotations

from peewee import Database, PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

TABLE = """
CREATE TABLE usage_day (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    day TEXT NOT NULL,
    part INTEGER NOT NULL,
    time_zone TEXT NOT NULL,
    lines TEXT NOT NULL,
    calls INTEGER NOT NULL,
    duration_ms BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    until TEXT NOT NULL,
    through BIGINT NOT NULL,
    counted_at TEXT NOT NULL,
    FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE RESTRICT
);
CREATE UNIQUE INDEX usage_day_tenant_id_day_part ON usage_day (tenant_id, day, part);
CREATE INDEX usage_day_tenant_id_through ON usage_day (tenant_id, through);
CREATE INDEX log_leaf_tenant_id_at_number ON log_leaf (tenant_id, at, number);
CREATE INDEX log_leaf_tenant_id_kind_at_number ON log_leaf (tenant_id, kind, at, number);
"""

ACTOR = (
    """CREATE INDEX log_leaf_actor ON log_leaf (tenant_id, """
    """(CASE WHEN {at}(body, '"actor":"') > 0 THEN substr(body, {at}(body, '"actor":"') + 9, 36) """
    """WHEN {at}(body, '"by":"') > 0 THEN substr(body, {at}(body, '"by":"') + 6, 36) """
    """WHEN {at}(body, '"user":"') > 0 THEN substr(body, {at}(body, '"user":"') + 8, 36) END), """
    """at, number, kind)"""
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in TABLE.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
    at = "strpos" if isinstance(db, PostgresqlDatabase) else "instr"
    db.execute_sql(ACTOR.format(at=at))  # type: ignore[no-untyped-call]
