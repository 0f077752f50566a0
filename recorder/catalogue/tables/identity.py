"""Users, their sessions, and API tokens."""

from __future__ import annotations

from peewee import SQL, ForeignKeyField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table
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
    lines = DataField(null=True)

    tenant_id: str

    class Meta:
        table_name = "user_account"


class InvitationTable(Table):
    """An invitation to become a user, by the signed ``statement``; only its token's hash is stored. Once it
    has ended (``outcome``: accepted, withdrawn), nothing personal is left in it."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    address = TextField()
    name = TextField()
    role = TextField()
    lines = DataField(null=True)
    extensions = DataField(null=True)
    language = TextField()
    token_sha256 = TextField(unique=True)
    statement = TextField(null=True)
    created_at = MomentField()
    until = MomentField()
    ended_at = MaybeMomentField(null=True)
    outcome = TextField(null=True)

    class Meta:
        table_name = "invitation"


class AccountLinkTable(Table):
    """The newest link of a user to set a password or to confirm an address. The id is made of the user's id
    and the kind of link, so that a newer link ends the older ones. The link's token is what counts; the row
    alone opens nothing."""

    offboarding = "deleted"

    not_copied = "links that last an hour"
    not_compared = (
        (
            "id tenant_id token_sha256 until",
            "ends links and opens none: what a link is for is in its token, under the panel's secret",
        ),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    token_sha256 = TextField()
    until = MomentField(index=True)

    class Meta:
        table_name = "account_link"


class SessionTable(Table):
    not_compared = (
        (
            "seen_at until network",
            "the last request, written with each request; a session that would last too long is refused",
        ),
        ("device", "shown to its user alone, and decides nothing"),
    )

    id = TextField(primary_key=True)
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="CASCADE")
    token_sha256 = TextField(unique=True)
    created_at = MomentField()
    seen_at = MomentField()
    until = MomentField(index=True)
    ended_at = MaybeMomentField(null=True)
    device = TextField(default="", constraints=[SQL("DEFAULT ''")])
    network = TextField(default="", constraints=[SQL("DEFAULT ''")])

    user_id: str

    class Meta:
        table_name = "session"


class ApiTokenTable(Table):
    """An API token of a customer; only its hash is stored."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    name = TextField()
    token_sha256 = TextField(unique=True)
    created_at = MomentField()
    revoked_at = MaybeMomentField(null=True)
    credential = TextField(null=True)

    class Meta:
        table_name = "api_token"
