"""Amendments, and recordings with an amendment in progress."""

from __future__ import annotations

from peewee import SQL, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import WORK_QUEUE, DataField, MomentField, Table
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable


class AmendmentTable(Table):
    """A recording's amendment, as the bucket has it; ``ended_by`` is the number of the amendment that ended
    this one (a lifted legal hold)."""

    not_copied = "the bucket has them"

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    recording = ForeignKeyField(RecordingTable, column_name="recording_id", on_delete="RESTRICT")
    number = IntegerField()
    kind = TextField()
    at = MomentField()
    by_kind = TextField()
    by_id = TextField(null=True)
    data = DataField()
    sha256 = TextField()
    ended_by = IntegerField(null=True)

    tenant_id: str
    recording_id: str

    class Meta:
        table_name = "amendment"
        indexes = ((("recording", "number"), True),)


AmendmentTable.add_index(
    AmendmentTable.tenant, where=SQL("kind = 'hold_set' AND ended_by IS NULL"), name="amendment_open_hold"
)


class PendingAmendmentTable(Table):
    """A recording whose amendment is being put: after a crash, the worker checks it again."""

    not_copied = "who is at it now"
    not_compared = (("recording_id tenant_id since", WORK_QUEUE),)

    recording_id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    since = MomentField()

    tenant_id: str

    class Meta:
        table_name = "pending_amendment"
