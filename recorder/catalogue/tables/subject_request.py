"""Subject requests, used by the modules of ``features/subject_requests``: ``queries.py``,
``verification_code.py``, ``reviews.py`` and ``call_erasure.py``."""

from __future__ import annotations

from peewee import ForeignKeyField, TextField

from recorder.catalogue.database import LEAF_NUMBER, DataField, MaybeMomentField, MomentField, Table


class SubjectRequestTable(Table):
    """A person's request to a customer: ``wants`` a copy, erasure, or both, or to withdraw consent.
    ``received_on`` and ``due_on`` are days in the customer's time zone; ``language`` is that of the answer.
    ``verified_how`` says how the number was shown to be theirs: ``code``, or ``people`` if two users vouched,
    each with a statement (``vouched_…`` is the first, ``verified_…`` the second). ``exported_at`` is the time
    of the last copy.

    ``leaves`` are the numbers of the log's leaves about it: a row that differs from them decides nothing.
    They contain a commitment to the number under ``number_salt``, not the number
    (``features/subject_requests/queries.py``). ``recording_id`` is the only recording that it is about, where
    the person asked on the page of their own call."""

    offboarding = "emptied"

    not_compared = (("leaves", LEAF_NUMBER),)

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = TextField()
    recording_id = TextField(null=True)
    wants = TextField()
    language = TextField()
    received_on = TextField()
    due_on = TextField()
    entered_at = MomentField()
    entered_kind = TextField()
    entered_by = TextField(null=True)
    extended_at = MaybeMomentField(null=True)
    extension_reason = TextField(null=True)
    verified_at = MaybeMomentField(null=True)
    verified_how = TextField(null=True)
    verified_by = TextField(null=True)
    verified_statement = TextField(null=True)
    closed_at = MaybeMomentField(null=True)
    closed_how = TextField(null=True)
    exported_at = MaybeMomentField(null=True)
    vouched_at = MaybeMomentField(null=True)
    vouched_by = TextField(null=True)
    vouched_statement = TextField(null=True)
    number_salt = TextField(null=True)
    leaves = DataField(null=True)

    class Meta:
        table_name = "subject_request"
        indexes = ((("tenant_id", "due_on"), False),)


class ReviewTable(Table):
    """The review of a recording for a subject request: ``given`` is ``both`` channels, their ``own``, or
    ``withheld``; ``erased_at`` is set after an erasure, ``kept_reason`` and ``kept_until`` if it is refused
    for now. ``withheld_reason`` is also the reason for disclosing a recording that was not announced.
    ``disclosure`` is the signed statement for one that is given (:mod:`recorder.seal.disclosure`). ``id``
    combines the request's and the recording's ids."""

    offboarding = "emptied"

    id = TextField(primary_key=True)
    request = ForeignKeyField(SubjectRequestTable, column_name="request_id", on_delete="RESTRICT")
    recording_id = TextField()
    given = TextField(null=True)
    withheld_reason = TextField(null=True)
    decided_at = MaybeMomentField(null=True)
    decided_by = TextField(null=True)
    exported_at = MaybeMomentField(null=True)
    erased_at = MaybeMomentField(null=True)
    kept_reason = TextField(null=True)
    kept_until = MaybeMomentField(null=True)
    disclosure = TextField(null=True)

    request_id: str

    class Meta:
        table_name = "request_review"
        indexes = ((("request", "recording_id"), True),)


class ErasedCallTable(Table):
    """An unrecorded call that was erased at the person's request; ``id`` is the call's, ``note`` names the
    signed note in the bucket, which alone decides (:mod:`recorder.seal.call_erasure`)."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    request_id = TextField()
    erased_at = MomentField()
    note = TextField(null=True)

    class Meta:
        table_name = "erased_call"
        indexes = ((("tenant_id", "request_id"), False),)
