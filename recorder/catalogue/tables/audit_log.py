"""Tables beside a tenant's log: hashes that make its tree quick, what was signed of it, and who gets that.

Only ``recorder.auditlog`` writes and reads them.  All but the addresses can be made again: hashes from the
leaves, checkpoints from the bucket.
"""

from __future__ import annotations

from peewee import SQL, BigIntegerField, BlobField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class SubtreeTable(Table):
    """The hash (hex) of 256 ** ``level`` leaves from ``number`` times that on, once all are there."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    level = IntegerField()
    number = BigIntegerField()
    hash = TextField()

    class Meta:
        table_name = "log_subtree"
        indexes = ((("tenant_id", "level", "number"), True),)


class CheckpointTable(Table):
    """What was signed of a log; ``number`` counts from 1 for each tenant.  ``place`` is where it lies in the
    bucket, ``stored_at`` since when, ``stamped_at`` what a timestamp authority says of it."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = IntegerField()
    epoch = IntegerField()
    size = BigIntegerField()
    root = TextField()
    at = MomentField()
    note = TextField()
    place = TextField()
    stored_at = MaybeMomentField(null=True)
    stamped_at = MaybeMomentField(null=True)

    class Meta:
        table_name = "log_checkpoint"
        indexes = ((("tenant_id", "number"), True),)


class RecipientTable(Table):
    """Somebody who gets a tenant's newest checkpoint by mail once a day, until ``until``."""

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    address = TextField()
    since = MomentField()
    until = MaybeMomentField(null=True)
    sent_at = MaybeMomentField(null=True)
    sent_number = IntegerField(null=True)

    class Meta:
        table_name = "checkpoint_recipient"


class LeafTable(Table):
    """A leaf of a tenant's log.  ``leaf`` is what is hashed, without personal data; ``body`` and
    ``salt`` open its commitment and die with what they speak of."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    number = BigIntegerField()
    kind = TextField()
    at = MomentField()
    recording_id = TextField(null=True, index=True)
    body = TextField(null=True)
    salt = BlobField(null=True)
    leaf = TextField()
    leaf_hash = TextField()

    tenant_id: str

    class Meta:
        table_name = "log_leaf"
        indexes = ((("tenant", "number"), True),)


LeafTable.add_index(
    LeafTable.tenant,
    LeafTable.number,
    where=SQL("kind IN ('holds.unconfirmed', 'holds.confirmed')"),
    name="log_leaf_holds",
)


DECIDED = SQL(
    "kind IN ('announcement.created', 'retention_limit.lifted', 'retention_limit.set', 'line.created', "
    "'line.ended', 'token.revoked', 'user.password_changed', 'user.revoked')"
)
"""Kinds of leaves that are looked for before a row about the same is believed, as their index has them."""


LeafTable.add_index(
    LeafTable.tenant, LeafTable.kind, LeafTable.number, where=DECIDED, name="log_leaf_decided"
)
