"""The columns of a verification call, whatever it is for (:mod:`recorder.verification_calls`)."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table


class VerificationCallTable(Table):
    """A call with a code, not to be made after ``until``; no table by itself. ``taken_at`` is when the worker
    of ``node`` took the order and created the code, whose hash (``verification_calls/code.py``) is stored
    until ``valid_until``. ``leaves`` are the numbers of the log's leaves about the order and the code."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = TextField(index=True)
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
