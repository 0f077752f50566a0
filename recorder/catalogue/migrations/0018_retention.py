"""What came with signed retention limits: the statements in place of their parts, until when each recording
was agreed to be kept, and an index of the leaves that say whether the legal holds are confirmed.

Limits of before were not signed and are not taken over: they are set again.  It serves no Accord of before,
which would decide by rows that nobody signed.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import SQL, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

HOLDS = """CREATE INDEX "ledger_entry_holds" ON "ledger_entry" ("tenant_id", "number")
WHERE kind IN ('holds.unconfirmed', 'holds.confirmed')"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Tenant(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "tenant"

    class KeepingLimit(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        statement = TextField()
        leaf = IntegerField(null=True)
        lifted = TextField(null=True)
        lifted_leaf = IntegerField(null=True)
        settled_after = TextField(null=True)
        settled_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "keeping_limit"

    migrator.migrate(migrator.drop_table("keeping_limit"))
    db.create_tables([KeepingLimit])
    agreed = TextField(default="{}", constraints=[SQL("DEFAULT '{}'")])
    migrator.migrate(migrator.add_column("recording", "agreed", agreed))
    db.execute_sql(HOLDS)  # type: ignore[no-untyped-call]


def down(migrator: SchemaMigrator, db: Database) -> None:
    class Tenant(Model):
        id = TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "tenant"

    class KeepingLimit(Model):
        id = TextField(primary_key=True)
        tenant = ForeignKeyField(Tenant, on_delete="RESTRICT")
        purpose = TextField(null=True)
        line_id = TextField(null=True)
        keep_days = IntegerField()
        since = TextField()
        until = TextField(null=True)
        leaf = IntegerField()
        settled_after = TextField(null=True)
        settled_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "keeping_limit"

    db.execute_sql('DROP INDEX "ledger_entry_holds"')  # type: ignore[no-untyped-call]
    migrator.migrate(migrator.drop_column("recording", "agreed"), migrator.drop_table("keeping_limit"))
    db.create_tables([KeepingLimit])
