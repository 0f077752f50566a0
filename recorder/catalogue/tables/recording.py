"""Recordings, and unrecorded calls."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class RecordingTable(Table):
    """A stored recording; after its erasure, a tombstone without parties.

    Line and announcement are not foreign keys: the manifest's statements about them also hold in a catalogue
    that was rebuilt from the bucket. ``agreed`` has the last day of agreed retention, by purpose;
    ``brought_in`` is the SHA-256 of an imported recording's file.
    """

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    line_id = TextField()
    number = TextField()
    direction = TextField()
    outside_kind = TextField(null=True)
    outside_value = TextField(null=True)
    inside_kind = TextField(null=True)
    inside_value = TextField(null=True)
    started_at = MomentField()
    duration_ms = IntegerField()
    announcement_id = TextField()
    announcement_version = IntegerField()
    announced = IntegerField()
    purposes = DataField()
    restricted = DataField()
    kept = TextField(null=True)
    agreed = DataField(default=dict, constraints=[SQL("DEFAULT '{}'")])
    keep_until = MomentField(index=True)
    prefix = TextField(unique=True)
    manifest_sha256 = TextField()
    wrapped_key = TextField(null=True)
    objects = DataField()
    stored_bytes = BigIntegerField()
    stored_at = MomentField()
    destroyed_at = MaybeMomentField(null=True)
    destroyed_why = TextField(null=True)
    brought_in = TextField(null=True, index=True)

    tenant_id: str

    class Meta:
        table_name = "recording"
        indexes = ((("tenant", "started_at", "id"), False),)


class NotRecordedTable(Table):
    """An unrecorded call and its reason; ``tenant`` is empty if no line has its number."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", null=True, on_delete="RESTRICT")
    line_id = TextField(null=True)
    number = TextField()
    direction = TextField()
    node = TextField()
    outside_kind = TextField()
    outside_value = TextField()
    started_at = MomentField()
    ended_at = MomentField()
    reason = TextField()
    quarantined_until = MaybeMomentField(null=True)
    noted_at = MomentField()

    tenant_id: str | None

    class Meta:
        table_name = "not_recorded"
        indexes = ((("tenant", "started_at", "id"), False),)
