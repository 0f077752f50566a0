"""What came with keeping and amendments: how long customers keep recordings at most, and which recordings
somebody is amending.

Only new tables, so that an Accord of before works beside it; it destroys nothing early.  A frozen copy: this
file does not change any more."""

from __future__ import annotations

from peewee import Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Tenant(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "tenant"

    class KeepingLimit(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        purpose = TextField(null=True)
        line_id = TextField(null=True)
        keep_days = IntegerField()
        since = TextField()
        until = TextField(null=True)
        leaf = IntegerField()
        settled_after = TextField(null=True)
        settled_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "keeping_limit"

    class BeingAmended(Model):
        recording_id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        since = TextField()

        class Meta:
            database = db
            table_name = "being_amended"

    db.create_tables([KeepingLimit, BeingAmended])


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_table("being_amended"))
    migrator.migrate(migrator.drop_table("keeping_limit"))
