"""An index of the leaves that are looked for before a row about the same is believed.

Only an index.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

DECIDED = """CREATE INDEX "ledger_entry_decided" ON "ledger_entry" ("tenant_id", "kind", "number")
WHERE kind IN ('announcement.created', 'keeping.lifted', 'keeping.limited', 'line.created',
'line.ended', 'token.revoked', 'user.password_changed', 'user.revoked')"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql(DECIDED)  # type: ignore[no-untyped-call]


def down(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql('DROP INDEX "ledger_entry_decided"')  # type: ignore[no-untyped-call]
