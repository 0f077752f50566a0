"""Offboarding of customers (:mod:`recorder.features.offboarding.queries`)."""

from __future__ import annotations

from peewee import BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import LEAF_NUMBER, DataField, MaybeMomentField, MomentField, Table


class OffboardingTable(Table):
    """A customer's offboarding; the columns that are set show its progress. ``handover`` is the id of the
    archive, which covers the log's first ``log_size`` leaves; ``layout`` lists its files other than
    recordings, ``length`` is its size in bytes, and ``handed_at`` the time when its plan was complete. It can
    be downloaded until ``until``. From ``erasing_since`` on, everything is erased; ``receipt`` is the signed
    confirmation."""

    tenant_id = TextField(primary_key=True)
    announced_at = MomentField()
    until = MomentField()
    handover = TextField(null=True)
    log_size = BigIntegerField(null=True)
    handed_at = MaybeMomentField(null=True)
    layout = DataField(null=True)
    length = BigIntegerField(null=True)
    erasing_since = MaybeMomentField(null=True)
    offboarded_at = MaybeMomentField(null=True)
    receipt = TextField(null=True)

    class Meta:
        table_name = "offboarding"


class HandoverFetchTable(Table):
    """A user's download of a customer's archive: ``id`` combines the archive's and the user's ids, ``leaf``
    is the number of the leaf that last recorded it
    (:func:`recorder.features.offboarding.handover.fetching`)."""

    not_compared = (("id tenant_id leaf", LEAF_NUMBER),)

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    leaf = BigIntegerField()

    class Meta:
        table_name = "handover_fetch"


class HandedRecordingTable(Table):
    """A recording in a customer's archive: its ``files`` (names and lengths) begin at byte ``at``;
    ``omission`` is the reason if it was left out. ``row_length`` is the size in bytes of its row in the
    archive's table; ``sent_at`` is the time when its first byte was sent."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = IntegerField()
    recording_id = TextField()
    omission = TextField(null=True)
    row_length = IntegerField()
    at = BigIntegerField()
    length = BigIntegerField()
    files = DataField()
    sent_at = MaybeMomentField(null=True)

    class Meta:
        table_name = "handover_recording"
        indexes = ((("tenant_id", "number"), True), (("tenant_id", "at"), False))
