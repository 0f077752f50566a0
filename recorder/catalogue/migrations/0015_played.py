"""What the player says was played of a sound.

Only a column that may be empty, so that an Accord of before works beside it.  A frozen copy: this file does
not change any more."""

from __future__ import annotations

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.add_column("listen", "player_says", TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(migrator.drop_column("listen", "player_says"))
