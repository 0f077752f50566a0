"""What was signed of a recording that is given to the person who was recorded: without it nothing is given.

Only a column that may be empty.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.add_column("person_recording", "disclosure", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("person_recording", "disclosure"))
