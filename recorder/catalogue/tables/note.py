"""Notes and labels of recordings."""

from __future__ import annotations

from peewee import ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable


class NoteTable(Table):
    """What a user wrote about a recording: a note about the whole call or one moment (``at_ms``, milliseconds
    of audio), or a label; ``kind`` is ``note`` or ``label``. A deleted one keeps its row with an empty
    ``text``. The rows of a recording are deleted when it is erased."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    recording = ForeignKeyField(RecordingTable, column_name="recording_id", on_delete="RESTRICT")
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="RESTRICT")
    kind = TextField()
    at_ms = IntegerField(null=True)
    text = TextField()
    created_at = MomentField()
    edited_at = MaybeMomentField(null=True)
    deleted_at = MaybeMomentField(null=True)
    deleted_by = TextField(null=True)

    tenant_id: str
    recording_id: str
    user_id: str

    class Meta:
        table_name = "call_note"
        indexes = ((("tenant", "kind", "text"), False), (("tenant", "id"), False))
