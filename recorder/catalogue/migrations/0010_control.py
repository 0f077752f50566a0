"""What came with asking something of a live call from the panel and by an API: the calls that go on now, what
was asked of them, and the tokens of programs.

Only new tables, so that an Accord of before works beside it: its node's calls are not in them.  A frozen
copy: this file does not change any more."""

from __future__ import annotations

from peewee import Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class LiveCall(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField(index=True)
        node = TextField(index=True)
        line_id = TextField(null=True)
        number = TextField()
        direction = TextField()
        outside_kind = TextField()
        outside_value = TextField()
        started_at = TextField()
        told = IntegerField()
        paused_until = TextField(null=True)
        deletable = IntegerField()
        seen_at = TextField()

        class Meta:
            database = db
            table_name = "live_call"

    class Asked(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        call_id = TextField()
        node = TextField()
        what = TextField()
        by_kind = TextField()
        by_id = TextField()
        asked_at = TextField()
        until = TextField()
        taken_at = TextField(null=True)
        outcome = TextField(null=True)
        answered_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "call_asked"
            indexes = ((("node", "outcome"), False),)

    class ApiToken(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField(index=True)
        name = TextField()
        token_sha256 = TextField(unique=True)
        created_at = TextField()
        revoked_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "api_token"

    db.create_tables([LiveCall, Asked, ApiToken])


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.drop_table("api_token"),
        migrator.drop_table("call_asked"),
        migrator.drop_table("live_call"),
    )
