"""What an audit compares rows with: the salt of a person's request, with which the log hides their number,
and an index over the leaves by which expiry is held up until the holds are confirmed.

Only a column with a default and an index, so that an Accord of before works beside it.  A frozen copy: this
file does not change any more."""

from __future__ import annotations

from peewee import SQL, Database, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.add_column("person_request", "salt", TextField(default="", constraints=[SQL("DEFAULT ''")]))
    )
    db.execute_sql(  # type: ignore[no-untyped-call]
        "CREATE INDEX ledger_entry_holds ON ledger_entry (tenant_id, number) "
        "WHERE kind IN ('holds.awaited', 'holds.confirmed')"
    )


def down(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql("DROP INDEX ledger_entry_holds")  # type: ignore[no-untyped-call]
    migrator.migrate(migrator.drop_column("person_request", "salt"))
