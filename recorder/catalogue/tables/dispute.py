"""Disputes: their signed statements, which alone decide, and indexes to them."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table


class DisputeStatementTable(Table):
    """A signed statement (:mod:`recorder.seal.dispute_statement`); ``id`` is made of the dispute's id and the
    statement's ``number``, so that two processes cannot write the same one."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    dispute_id = TextField()
    number = IntegerField()
    statement = TextField()

    class Meta:
        table_name = "dispute_statement"
        indexes = ((("dispute_id", "number"), True),)


class DisputeTable(Table):
    """A dispute, as the list shows it; its statements decide. ``settle_by`` is a day (``2026-12-04``),
    ``final_at`` when its outcome can be sealed beside the recordings. ``page_token`` leads to the outcome's
    page, which is found by its hash, ``page_sha256``. ``copied_beside`` is the recording under whose key the
    bucket has all of the statements; it is empty until the worker has put them there. From ``news_at`` on
    the worker tells its people what happened; it is empty once they know."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    opened_at = MomentField()
    settle_by = TextField()
    closed_at = MaybeMomentField(null=True)
    final_at = MaybeMomentField(null=True, index=True)
    page_token = TextField(null=True)
    page_sha256 = TextField(null=True, unique=True)
    copied_beside = TextField(null=True, index=True)
    news_at = MaybeMomentField(null=True, index=True)

    class Meta:
        table_name = "dispute"
        indexes = ((("tenant_id", "closed_at", "settle_by"), False),)


class DisputeRecordingTable(Table):
    """A recording that a dispute is about: leads from its call page to the dispute. ``id`` is made of both
    ids."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    dispute_id = TextField(index=True)
    recording_id = TextField(index=True)

    class Meta:
        table_name = "dispute_recording"


class DisputeGuestTable(Table):
    """A guest of a dispute: leads from a link, by its token's hash, to the statement that is valid or not.
    ``id`` is the guest's, and that of their user once they have accepted; the provider's support, by its
    ``role``, finds the disputes that it is called to."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    dispute_id = TextField(index=True)
    role = TextField(index=True)
    token_sha256 = TextField(null=True, unique=True)

    class Meta:
        table_name = "dispute_guest"


class RoomCodeTable(Table):
    """What leads from the code that a caller types (``code_mac``), and from the number at which a guest was
    invited (``number_mac``), to one of a dispute's people: a guest, one of the customer's people, or of the
    provider's support (``user_id``). ``turn`` counts codes that somebody else had already. The code itself is
    computed (:mod:`recorder.features.disputes.dial_in`). ``id`` is made of both ids."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    dispute_id = TextField(index=True)
    user_id = TextField()
    code_mac = TextField(index=True)
    turn = IntegerField(default=0)
    number_mac = TextField(null=True, index=True)

    class Meta:
        table_name = "room_code"


class DisputeNewsTable(Table):
    """How far somebody was told what the others did in a dispute: the ``number`` of the newest statement that
    they are told, when it was made (``at``), and up to which number they were told by mail (``mailed``), or
    were not to be. ``id`` is made of both ids."""

    not_copied = "who was told what lately: after a recovery the last day's steps are told again"
    not_compared = (
        (
            "id tenant_id dispute_id user_id number at mailed mailed_at",
            "information that decides nothing: what is told, and to whom, follows from the statements",
        ),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField()
    dispute_id = TextField(index=True)
    user_id = TextField()
    number = IntegerField()
    at = MomentField()
    mailed = IntegerField()
    mailed_at = MaybeMomentField(null=True)

    class Meta:
        table_name = "dispute_news"
        indexes = ((("tenant_id", "user_id", "at"), False),)
