"""Which signed note in the bucket says that a call without a recording was erased: the row is an index to it.

A column that may be empty: an Accord of before works beside it.  A row of its does not count, for it names no
note.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.add_column("forgotten_call", "note", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("forgotten_call", "note"))
