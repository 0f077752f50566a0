"""What came with the agreement in the call: what a line says about keeping its recordings, by language.

Only a new table and a column that is empty, so that an Accord of before works beside it: its node asks
nothing.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, ForeignKeyField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Line(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "line"

    class Sound(Model):
        sha256 = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "sound"

    def sound(column: str) -> ForeignKeyField:
        return ForeignKeyField(
            Sound, field=Sound.sha256, column_name=column, on_delete="RESTRICT", backref="+"
        )

    class LineKeep(Model):
        id = TextField(primary_key=True)
        line = ForeignKeyField(Line, on_delete="RESTRICT")
        language = TextField()
        question_text = TextField(null=True)
        question = ForeignKeyField(
            Sound,
            field=Sound.sha256,
            column_name="question_sha256",
            null=True,
            on_delete="RESTRICT",
            backref="+",
        )
        cue_text = TextField()
        cue = sound("cue_sha256")
        yes_text = TextField()
        yes = sound("yes_sha256")
        no_text = TextField()
        no = sound("no_sha256")
        none_text = TextField()
        none = sound("none_sha256")

        class Meta:
            database = db
            table_name = "line_keep"
            indexes = ((("line", "language"), True),)

    db.create_tables([LineKeep])
    migrator.migrate(migrator.add_column("line", "keep", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("line", "keep"))
    migrator.migrate(migrator.drop_table("line_keep"))
