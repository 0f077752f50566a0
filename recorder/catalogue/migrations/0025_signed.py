"""What was signed of people, tokens and commands, beside each row: without it the row counts for nothing.

Only columns that may be empty.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

COLUMNS = (("user_account", "credential"), ("api_token", "credential"), ("call_asked", "command"))


def up(migrator: SchemaMigrator, db: Database) -> None:
    for table, column in COLUMNS:
        migrator.migrate(migrator.add_column(table, column, TextField(null=True)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    for table, column in COLUMNS:
        migrator.migrate(migrator.drop_column(table, column))
