"""Claims: which of several workers does a thing.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Claim(Model):
        name = TextField(primary_key=True)
        owner = TextField()
        until = TextField(index=True)

        class Meta:
            database = db
            table_name = "claim"

    db.create_tables([Claim])


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_table("claim"))
