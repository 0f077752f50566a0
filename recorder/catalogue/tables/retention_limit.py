"""Customers' retention limits."""

from __future__ import annotations

from peewee import ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class RetentionLimitTable(Table):
    """A customer's retention limit: the signed ``statement`` that sets it, and the one that lifts it
    (``seal.retention_limit``), byte for byte as in the bucket. ``leaf`` and ``lifted_leaf`` are the numbers
    of their leaves in the customer's log; a statement without its leaf is not in force yet. ``applied_after``
    is the last recording that the limit was applied to; ``applied_at`` is set once it was applied to all."""

    not_compared = (
        (
            "applied_after applied_at",
            "progress of applying a limit; at worst it is applied again, or earlier",
        ),
    )

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    statement = TextField()
    leaf = IntegerField(null=True)
    lifted = TextField(null=True)
    lifted_leaf = IntegerField(null=True)
    applied_after = TextField(null=True)
    applied_at = MaybeMomentField(null=True)

    tenant_id: str

    class Meta:
        table_name = "retention_limit"
