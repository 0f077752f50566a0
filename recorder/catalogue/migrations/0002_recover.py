"""What came with rebuilding: amendments, what is said of the whole catalogue, and the rebuild's own list.

Only new tables, so that an Accord of before works beside it.  A frozen copy: this file does not change."""

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

    class Recording(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "recording"

    class Amendment(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        recording = ForeignKeyField(Recording, on_delete="RESTRICT")
        number = IntegerField()
        kind = TextField()
        at = TextField()
        by_kind = TextField()
        by_id = TextField(null=True)
        data = TextField()
        sha256 = TextField()
        ended_by = IntegerField(null=True)

        class Meta:
            database = db
            table_name = "amendment"
            indexes = ((("recording", "number"), True),)

    class Condition(Model):
        name = TextField(primary_key=True)
        said = TextField()
        since = TextField()

        class Meta:
            database = db
            table_name = "catalogue_condition"

    class Place(Model):
        place = TextField(primary_key=True)
        names = TextField()
        recording_id = TextField(index=True)
        outcome = TextField(index=True, null=True)
        code = TextField(null=True)
        message = TextField(null=True)

        class Meta:
            database = db
            table_name = "rebuild_place"

    db.create_tables([Amendment, Condition, Place])


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_table("rebuild_place"))
    migrator.migrate(migrator.drop_table("catalogue_condition"))
    migrator.migrate(migrator.drop_table("amendment"))
