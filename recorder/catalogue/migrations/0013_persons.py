"""What came with persons who ask for their recordings: what they asked, the codes that their numbers were
called with, and what was decided and done of each recording.

Only new tables, so that an Accord of before works beside it.  A frozen copy: this file does not change any
more."""

from __future__ import annotations

from peewee import Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class PersonRequest(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        number = TextField()
        wants = TextField()
        language = TextField()
        received_on = TextField()
        due_on = TextField()
        entered_at = TextField()
        entered_kind = TextField()
        entered_by = TextField(null=True)
        extended_at = TextField(null=True)
        extended_why = TextField(null=True)
        proved_at = TextField(null=True)
        proved_how = TextField(null=True)
        proved_by = TextField(null=True)
        proved_said = TextField(null=True)
        closed_at = TextField(null=True)
        closed_how = TextField(null=True)

        class Meta:
            database = db
            table_name = "person_request"
            indexes = ((("tenant_id", "due_on"), False),)

    class PersonCode(Model):
        id = TextField(primary_key=True)
        request = ForeignKeyField(PersonRequest, on_delete="RESTRICT")
        tenant_id = TextField()
        number = TextField(index=True)
        language = TextField()
        asked_at = TextField()
        until = TextField()
        node = TextField(null=True)
        taken_at = TextField(null=True)
        code_hash = TextField(null=True)
        valid_until = TextField(null=True)
        tries = IntegerField()
        outcome = TextField(null=True)

        class Meta:
            database = db
            table_name = "person_code"
            indexes = ((("tenant_id", "asked_at"), False),)

    class PersonRecording(Model):
        id = TextField(primary_key=True)
        request = ForeignKeyField(PersonRequest, on_delete="RESTRICT")
        recording_id = TextField()
        given = TextField(null=True)
        withheld_why = TextField(null=True)
        decided_at = TextField(null=True)
        decided_by = TextField(null=True)
        exported_at = TextField(null=True)
        erased_at = TextField(null=True)
        kept_why = TextField(null=True)
        kept_until = TextField(null=True)

        class Meta:
            database = db
            table_name = "person_recording"
            indexes = ((("request", "recording_id"), True),)

    db.create_tables([PersonRequest, PersonCode, PersonRecording])


def down(migrator: SchemaMigrator, db: Database) -> None:
    for table in ("person_recording", "person_code", "person_request"):
        migrator.migrate(migrator.drop_table(table))
