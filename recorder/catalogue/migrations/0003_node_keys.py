"""The ids of a node's keys in its report.  A frozen copy: this file does not change once a version was
released."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(_migrator: SchemaMigrator, db: Database) -> None:
    for name in ("root", "keks"):
        db.execute_sql(f"ALTER TABLE node_report ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")  # type: ignore[no-untyped-call]
