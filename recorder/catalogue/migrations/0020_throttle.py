"""What came with limits that all panel processes share: how often somebody failed to log in.

Only a new table, so that an Accord of before works beside it.  A frozen copy: this file does not change any
more."""

from __future__ import annotations

from peewee import BigIntegerField, Database, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Throttle(Model):
        key = TextField(primary_key=True)
        empty_ms = BigIntegerField(index=True)
        known_until = TextField(null=True)

        class Meta:
            database = db
            table_name = "throttle"

    db.create_tables([Throttle])


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_table("throttle"))
