"""What came with signing the log: the tree's hashes, checkpoints, who gets them, and which log of a
customer's it is (after a restore another begins).

Only tables of its own and a column with a default, so that an Accord of before works beside it: it adds
leaves, and another node signs them.  A frozen copy: this file does not change any more."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

SERVES = "0001_initial"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Subtree(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        level = IntegerField()
        number = BigIntegerField()
        hash = TextField()

        class Meta:
            database = db
            table_name = "ledger_subtree"
            indexes = ((("tenant_id", "level", "number"), True),)

    class Checkpoint(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField()
        number = IntegerField()
        epoch = IntegerField()
        size = BigIntegerField()
        root = TextField()
        at = TextField()
        note = TextField()
        place = TextField()
        stored_at = TextField(null=True)
        stamped_at = TextField(null=True)

        class Meta:
            database = db
            table_name = "ledger_checkpoint"
            indexes = ((("tenant_id", "number"), True),)

    class Recipient(Model):
        id = TextField(primary_key=True)
        tenant_id = TextField(index=True)
        address = TextField()
        since = TextField()
        until = TextField(null=True)
        sent_at = TextField(null=True)
        sent_number = IntegerField(null=True)

        class Meta:
            database = db
            table_name = "ledger_recipient"

    db.create_tables([Subtree, Checkpoint, Recipient])
    epoch = IntegerField(default=1, constraints=[SQL("DEFAULT 1")])
    migrator.migrate(migrator.add_column("tenant", "ledger_epoch", epoch))


def down(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.drop_column("tenant", "ledger_epoch"),
        migrator.drop_table("ledger_recipient"),
        migrator.drop_table("ledger_checkpoint"),
        migrator.drop_table("ledger_subtree"),
    )
