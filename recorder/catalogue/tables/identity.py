"""Users, their sessions, and API tokens."""

from __future__ import annotations

from peewee import ForeignKeyField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class UserTable(Table):
    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    login = TextField(unique=True)
    name = TextField()
    role = TextField()
    language = TextField()
    password_hash = TextField()
    created_at = MomentField()
    revoked_at = MaybeMomentField(null=True)
    credential = TextField(null=True)

    tenant_id: str

    class Meta:
        table_name = "user_account"


class SessionTable(Table):
    id = TextField(primary_key=True)
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="CASCADE")
    token_sha256 = TextField(unique=True)
    created_at = MomentField()
    seen_at = MomentField()
    until = MomentField(index=True)
    ended_at = MaybeMomentField(null=True)
    device = TextField(default="")
    network = TextField(default="")

    user_id: str

    class Meta:
        table_name = "session"


class ApiTokenTable(Table):
    """An API token of a customer; only its hash is stored."""

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    name = TextField()
    token_sha256 = TextField(unique=True)
    created_at = MomentField()
    revoked_at = MaybeMomentField(null=True)
    credential = TextField(null=True)

    class Meta:
        table_name = "api_token"
