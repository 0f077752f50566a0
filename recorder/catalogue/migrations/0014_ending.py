"""What came with the end of things: customers who leave and what they are handed, and recordings from
elsewhere that were brought in.

New tables, and one column that may be empty: an Accord of before works beside it.  It plays nothing of what
was brought in, and destroys it on its day.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import BigIntegerField, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Leaving(Model):
        tenant_id = TextField(primary_key=True)
        announced_at = TextField()
        until = TextField()
        handover = TextField(null=True)
        log_size = BigIntegerField(null=True)
        handed_at = TextField(null=True)
        layout = TextField(null=True)
        length = BigIntegerField(null=True)
        erasing_since = TextField(null=True)
        left_at = TextField(null=True)
        receipt = TextField(null=True)

        class Meta:
            database = db
            table_name = "leaving"

    class Handed(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        number = IntegerField()
        recording_id = TextField()
        why_not = TextField(null=True)
        row_length = IntegerField()
        at = BigIntegerField()
        length = BigIntegerField()
        files = TextField()
        sent_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "handed"
            indexes = ((("tenant_id", "number"), True), (("tenant_id", "at"), False))

    db.create_tables([Leaving, Handed])
    migrator.migrate(
        migrator.add_column("recording", "brought_in", TextField(null=True)),
        migrator.add_index("recording", ("brought_in",), False),
    )


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.drop_index("recording", "recording_brought_in"),
        migrator.drop_column("recording", "brought_in"),
        migrator.drop_table("handed"),
        migrator.drop_table("leaving"),
    )
