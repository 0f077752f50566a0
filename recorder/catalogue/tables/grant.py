"""Permissions to listen, and listens."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import LEAF_NUMBER, DataField, MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable


class GrantTable(Table):
    """A user's permission to play one recording for one purpose until a time. ``leaf`` is the number of the
    leaf that gave it or last recorded a renewal; ``renewals`` counts the renewals since."""

    not_compared = (
        ("until", "a grant that would last longer than 15 minutes from now is ignored"),
        (
            "ended_at",
            "ends a grant early, or lets it run for up to 15 minutes; the gate checks user, session, role, "
            "purpose and seal at each request",
        ),
        ("leaf renewals", LEAF_NUMBER),
    )

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="RESTRICT")
    session = ForeignKeyField(SessionTable, column_name="session_id", null=True, on_delete="SET NULL")
    recording = ForeignKeyField(RecordingTable, column_name="recording_id", on_delete="RESTRICT")
    purpose = TextField()
    manifest_sha256 = TextField()
    granted_at = MomentField()
    until = MomentField(index=True)
    ended_at = MaybeMomentField(null=True)
    leaf = BigIntegerField(null=True)
    renewals = IntegerField(null=True)

    tenant_id: str
    user_id: str
    session_id: str | None
    recording_id: str

    class Meta:
        table_name = "access_grant"
        indexes = ((("user", "granted_at"), False),)


class ListenTable(Table):
    """A listen under a grant: opened before the first byte is sent, closed with the number of bytes sent.
    ``listen_report`` is the player's listen report, if any (:mod:`recorder.playback.playback_report`);
    ``play`` is the token of the last player, ``leaf`` the number of the leaf that opened the listen."""

    not_compared = (
        ("play", "only assigns bytes to an open listen; each listen has its leaf"),
        ("last_sent_at", "neither decides nor shows anything"),
        ("leaf", LEAF_NUMBER),
    )

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    grant = ForeignKeyField(GrantTable, column_name="grant_id", on_delete="RESTRICT")
    play = TextField()
    name = TextField()
    opened_at = MomentField()
    sent_bytes = BigIntegerField(default=0)
    last_sent_at = MomentField()
    closed_at = MaybeMomentField(null=True)
    listen_report = DataField(null=True)
    leaf = BigIntegerField(null=True)

    tenant_id: str
    grant_id: str

    class Meta:
        table_name = "listen"


ListenTable.add_index(
    ListenTable.grant, ListenTable.play, unique=True, where=SQL("closed_at IS NULL"), name="listen_play_open"
)
