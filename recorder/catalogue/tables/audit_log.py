"""Tables beside a tenant's log: hashes that make its tree quick, what was signed of it, and who gets that.

Only ``recorder.auditlog`` writes and reads them.  All but the addresses can be made again: hashes from the
leaves, checkpoints from the bucket.
"""

from __future__ import annotations

from peewee import BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table


class SubtreeTable(Table):
    """The hash (hex) of 256 ** ``level`` leaves from ``number`` times that on, once all are there."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    level = IntegerField()
    number = BigIntegerField()
    hash = TextField()

    class Meta:
        table_name = "ledger_subtree"
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
        table_name = "ledger_checkpoint"
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
        table_name = "ledger_recipient"
