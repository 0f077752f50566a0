"""Colleagues' extensions."""

from __future__ import annotations

from peewee import ForeignKeyField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.tenant import TenantTable


class ExtensionTable(Table):
    """An extension or a number at which a colleague takes calls: pages show their name beside it. The log has
    a commitment to it under ``salt``. One that ended keeps its row, without the number."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT", index=False)
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="RESTRICT")
    number = TextField(null=True)
    salt = TextField(null=True)
    since = MomentField()
    until = MaybeMomentField(null=True)

    tenant_id: str
    user_id: str

    class Meta:
        table_name = "user_extension"
        indexes = ((("tenant", "number"), True),)
