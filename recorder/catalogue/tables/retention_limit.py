"""Customers' retention limits."""

from __future__ import annotations

from peewee import ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class RetentionLimitTable(Table):
    """That a customer keeps recordings for a shorter time: the bytes of the signed ``statement``, and of
    the one that it is lifted (``seal.retention_limit``), as the bucket has them.  ``leaf`` and
    ``lifted_leaf`` are the numbers of the leaves that say so in the customer's log; a statement without its
    leaf counts for nothing yet. ``applied_after`` is the last recording that was looked at with it,
    ``applied_at`` when all were."""

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
