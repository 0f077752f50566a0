"""What came with the erasing of calls that were not recorded: which ones were forgotten because their person
asked for it, and when a person's copy last left.

A new table, and one column that may be empty: an Accord of before works beside it.  It lists such a call
again where its take is found in a spool once more.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class ForgottenCall(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        request_id = TextField()
        forgotten_at = TextField()

        class Meta:
            database = db
            table_name = "forgotten_call"
            indexes = ((("tenant_id", "request_id"), False),)

    db.create_tables([ForgottenCall])
    migrator.migrate(migrator.add_column("person_request", "exported_at", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.drop_column("person_request", "exported_at"),
        migrator.drop_table("forgotten_call"),
    )
