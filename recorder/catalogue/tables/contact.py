"""Names for numbers."""

from __future__ import annotations

from peewee import ForeignKeyField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.tenant import TenantTable


class ContactTable(Table):
    """The name that a customer's people gave a number or an address: their note, never sealed. ``user`` wrote
    it last. The log has commitments to number and name under ``salt``, which is new each time. A deleted one
    keeps its row, with nothing personal in it."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT", index=False)
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="RESTRICT")
    number = TextField(null=True)
    name = TextField()
    salt = TextField(null=True)
    written_at = MomentField()
    deleted_at = MaybeMomentField(null=True)
    deleted_by = TextField(null=True)

    tenant_id: str
    user_id: str

    class Meta:
        table_name = "contact"
        indexes = ((("tenant", "number"), True),)
