"""Recordings, and unrecorded calls."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class RecordingTable(Table):
    """A stored recording; after its erasure, a tombstone without parties.

    Line and announcement are not foreign keys: the manifest's statements about them also hold in a catalogue
    that was rebuilt from the bucket. ``consented_until`` has the last day of agreed retention, by purpose;
    ``agreement`` is what became of the agreement to keep it (:mod:`recorder.seal.keep_agreement`);
    ``colleagues`` are the parties of our side, where a call had several;
    ``import_sha256`` is the SHA-256 of an imported recording's file.
    """

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT", index=False)
    line_id = TextField()
    number = TextField()
    direction = TextField()
    external_kind = TextField(null=True)
    external_value = TextField(null=True)
    internal_kind = TextField(null=True)
    internal_value = TextField(null=True)
    colleagues = DataField(null=True)
    started_at = MomentField()
    duration_ms = IntegerField()
    announcement_id = TextField()
    announcement_version = IntegerField()
    announced = IntegerField()
    purposes = DataField()
    restricted = DataField()
    keep_answer = TextField(null=True)
    consented_until = DataField(default=dict, constraints=[SQL("DEFAULT '{}'")])
    keep_until = MomentField()
    prefix = TextField(unique=True)
    manifest_sha256 = TextField()
    wrapped_key = TextField(null=True)
    objects = DataField()
    stored_bytes = BigIntegerField()
    stored_at = MomentField()
    erased_at = MaybeMomentField(null=True)
    erasure_reason = TextField(null=True)
    import_sha256 = TextField(null=True)
    agreement = TextField(null=True)

    tenant_id: str

    class Meta:
        table_name = "recording"
        indexes = ((("tenant", "started_at", "id"), False),)


# Without tombstones, which stay for good: each worker looks every minute for what is due.
RecordingTable.add_index(
    RecordingTable.keep_until, RecordingTable.id, where=SQL("erased_at IS NULL"), name="recording_due"
)
RecordingTable.add_index(
    RecordingTable.import_sha256, where=SQL("import_sha256 IS NOT NULL"), name="recording_import"
)


class NotRecordedTable(Table):
    """An unrecorded call and its reason; ``tenant`` is empty if no line has its number."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", null=True, on_delete="RESTRICT")
    line_id = TextField(null=True)
    number = TextField()
    direction = TextField()
    node = TextField()
    external_kind = TextField()
    external_value = TextField()
    started_at = MomentField()
    ended_at = MomentField()
    reason = TextField()
    quarantined_until = MaybeMomentField(null=True)
    listed_at = MomentField()

    tenant_id: str | None

    class Meta:
        table_name = "unrecorded_call"
        indexes = ((("tenant", "started_at", "id"), False),)
