"""What came with telling colleagues who join a call later: how a line does it, and its sentences by language.

Only a column that is empty, so that an Accord of before works beside it: its node tells nobody.  A frozen
copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.add_column("line", "joining", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("line", "joining"))
