"""Verification calls, used by ``verification_calls/register.py``."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import LEAF_NUMBER, DataField, MaybeMomentField, MomentField, Table


class VerificationCallTable(Table):
    """A call with a code for a ``use``, about a request, a dispute's guest or a recording, not to be made
    after ``until``. ``taken_at`` is when the worker of ``node`` took the order and created the code, whose
    hash (``verification_calls/code.py``) is stored until somebody enters the code. The log has a commitment
    to the number under ``number_salt``; ``leaves`` are the numbers of its leaves about the order and the
    code. A row about a recording is deleted when that is erased."""

    offboarding = "deleted"

    not_copied = "codes that are valid for minutes; what one proved is in a leaf or statement of its own"
    not_compared = (("leaves", LEAF_NUMBER),)

    id = TextField(primary_key=True)
    tenant_id = TextField()
    use = TextField()
    request_id = TextField(null=True)
    dispute_id = TextField(null=True)
    guest_id = TextField(null=True)
    recording_id = TextField(null=True, index=True)
    number = TextField(index=True)
    number_salt = TextField()
    language = TextField()
    ordered_at = MomentField()
    until = MomentField()
    node = TextField(null=True)
    taken_at = MaybeMomentField(null=True)
    code_hash = TextField(null=True)
    valid_until = MaybeMomentField(null=True)
    tries = IntegerField()
    outcome = TextField(null=True)
    leaves = DataField(null=True)

    class Meta:
        table_name = "verification_call"
        indexes = ((("tenant_id", "ordered_at"), False),)
