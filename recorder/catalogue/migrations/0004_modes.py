"""What came with asking: the mode an announcement is made for, its question and its refusal, how it was put
together, and a line's further languages with the menu that lets choose among them.

Only columns that are empty or have a default, so that an Accord of before works beside it.  It knows of no
question: its node announces and records, whatever the mode, as it did.  A frozen copy: this file does not
change any more."""

from __future__ import annotations

from peewee import SQL, Database, ForeignKeyField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

SAYINGS = (
    ("announcement", "question_text", "question_sha256"),
    ("announcement", "declined_text", "declined_sha256"),
    ("line", "menu_text", "menu_sha256"),
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Sound(Model):
        sha256 = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "sound"

    def sound() -> ForeignKeyField:
        return ForeignKeyField(Sound, field=Sound.sha256, null=True, on_delete="RESTRICT", backref="+")

    def preset(value: str) -> TextField:
        return TextField(default=value, constraints=[SQL(f"DEFAULT '{value}'")])

    def add(table: str, column: str, field: TextField | ForeignKeyField) -> None:
        migrator.migrate(migrator.add_column(table, column, field, allow_not_null=True))

    add("announcement", "mode", preset("notice"))
    add("announcement", "composed", TextField(null=True))
    add("announcement", "greeting_sha256", sound())
    add("line", "others", preset("[]"))
    for table, text, sha256 in SAYINGS:
        add(table, text, TextField(null=True))
        add(table, sha256, sound())


def down(migrator: SchemaMigrator, db: Database) -> None:
    for table, text, sha256 in reversed(SAYINGS):
        _drop_sound(migrator, table, sha256)
        migrator.migrate(migrator.drop_column(table, text))
    migrator.migrate(migrator.drop_column("line", "others"))
    _drop_sound(migrator, "announcement", "greeting_sha256")
    migrator.migrate(migrator.drop_column("announcement", "composed"))
    migrator.migrate(migrator.drop_column("announcement", "mode"))


def _drop_sound(migrator: SchemaMigrator, table: str, column: str) -> None:
    migrator.migrate(migrator.drop_index(table, f"{table}_{column}"))
    migrator.migrate(migrator.drop_column(table, column))
