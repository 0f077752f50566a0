"""The tables of customers who leave (:mod:`recorder.features.offboarding.queries`)."""

from __future__ import annotations

from peewee import BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table


class OffboardingTable(Table):
    """That a customer leaves, and how far that is, by what is there: ``handover`` names what they are
    handed, made of the log's first ``log_size`` leaves; ``layout`` is what lies in it beside recordings and
    ``length`` how long it is in bytes, ``handed_at`` when it was whole; ``until`` it can be fetched.  Since
    ``erasing_since`` all is destroyed, and ``receipt`` (signed) says that it was."""

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
    """Who fetches what a customer is handed: ``id`` is the handing over's and the user's, ``leaf`` the number
    of the leaf that last said so (:func:`recorder.features.offboarding.handover.fetching`)."""

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    leaf = BigIntegerField()

    class Meta:
        table_name = "handover_fetch"


class HandedRecordingTable(Table):
    """A recording of a customer who leaves: what of it lies in what they are handed, from byte ``at`` on
    (``files``: names and lengths), or ``omission``. ``row_length`` is that of its row in the table, in bytes;
    ``sent_at`` is when the first of it left."""

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
