"""What came with the codes that colleagues dial in a call: whether they may have a recording destroyed
there, and what is said then, by language; and who hears a beep while it is recorded.

Only a new table and columns that are empty, so that an Accord of before works beside it: its node knows no
such code.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import SQL, Database, ForeignKeyField, IntegerField, Model, TextField
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

    class LineDelete(Model):
        id = TextField(primary_key=True)
        line = ForeignKeyField(Line, on_delete="RESTRICT")
        language = TextField()
        question_text = TextField()
        question = sound("question_sha256")
        deleted_text = TextField()
        deleted = sound("deleted_sha256")

        class Meta:
            database = db
            table_name = "line_delete"
            indexes = ((("line", "language"), True),)

    db.create_tables([LineDelete])
    migrator.migrate(
        migrator.add_column("line", "deletable", IntegerField(default=0, constraints=[SQL("DEFAULT 0")])),
        migrator.add_column("line", "beep", TextField(default="", constraints=[SQL("DEFAULT ''")])),
    )


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.drop_column("line", "beep"),
        migrator.drop_column("line", "deletable"),
        migrator.drop_table("line_delete"),
    )
