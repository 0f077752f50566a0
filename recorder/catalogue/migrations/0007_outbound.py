"""What came with outbound calls: whether a line announces them, and when.

Only a column with a default, so that an Accord of before works beside it: its node records none.  A frozen
copy: this file does not change any more."""

from __future__ import annotations

from peewee import SQL, Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    field = TextField(default="off", constraints=[SQL("DEFAULT 'off'")])
    migrator.migrate(migrator.add_column("line", "outbound", field, allow_not_null=True))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("line", "outbound"))
