"""What was agreed in the call about keeping the recording, as its manifest says it.

Empty for what an Accord of before lists: its recordings were never asked about.  A frozen copy: this file
does not change any more."""

from __future__ import annotations

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.add_column("recording", "kept", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("recording", "kept"))
