"""Which leaves of the log a row rests on: of a person's request and of a call with a code, of a grant and of
a listen; who else vouched for a person; and who fetches what a customer is handed.

New columns that may be empty, an index and a table: an Accord of before works beside it, but what it writes
about persons names no leaf, so that nothing is given or erased for it.  A frozen copy: this file does not
change any more."""

from __future__ import annotations

from peewee import BigIntegerField, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"

COLUMNS = (
    ("person_request", "leaves", TextField),
    ("person_request", "number_salt", TextField),
    ("person_request", "vouched_at", TextField),
    ("person_request", "vouched_by", TextField),
    ("person_request", "vouched_said", TextField),
    ("person_code", "leaves", TextField),
    ("access_grant", "leaf", BigIntegerField),
    ("access_grant", "renewals", IntegerField),
    ("listen", "leaf", BigIntegerField),
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class HandoverFetch(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        leaf = BigIntegerField()

        class Meta:
            database = db
            table_name = "handover_fetch"
            indexes = ((("tenant_id",), False),)

    db.create_tables([HandoverFetch])
    migrator.migrate(
        *(migrator.add_column(table, name, kind(null=True)) for table, name, kind in COLUMNS),
        migrator.add_index("access_grant", ("user_id", "given_at")),
    )


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.drop_index("access_grant", "access_grant_user_id_given_at"),
        *(migrator.drop_column(table, name) for table, name, _ in reversed(COLUMNS)),
        migrator.drop_table("handover_fetch"),
    )
