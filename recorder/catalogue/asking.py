"""The tables of persons who ask for their recordings.

Who uses them is ``persons.py`` (the register), ``codes.py`` (the call with a code), ``reviews.py`` (what
was decided and done of each recording) and ``forgetting.py`` (calls that were not recorded).
"""

from __future__ import annotations

from peewee import SQL, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Row


class PersonRequest(Row):
    """What a person asked a customer: ``wants`` a copy, erasure, or both.  ``received_on`` and ``due_on`` are
    days in the customer's zone, ``language`` is what they are answered in.  ``salt`` (32 random bytes, hex)
    is what the log's hash of the number is made with (``persons.hidden``): it goes with the number.
    ``proved_how`` is how it was shown that the number is theirs: ``code``, or ``person`` with what a
    colleague saw (``proved_said``).  ``exported_at`` is when a copy last left."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = TextField()
    salt = TextField(default="", constraints=[SQL("DEFAULT ''")])
    wants = TextField()
    language = TextField()
    received_on = TextField()
    due_on = TextField()
    entered_at = MomentField()
    entered_kind = TextField()
    entered_by = TextField(null=True)
    extended_at = MaybeMomentField(null=True)
    extended_why = TextField(null=True)
    proved_at = MaybeMomentField(null=True)
    proved_how = TextField(null=True)
    proved_by = TextField(null=True)
    proved_said = TextField(null=True)
    closed_at = MaybeMomentField(null=True)
    closed_how = TextField(null=True)
    exported_at = MaybeMomentField(null=True)

    class Meta:
        table_name = "person_request"
        indexes = ((("tenant_id", "due_on"), False),)


class PersonCode(Row):
    """A call with a code, ordered; not to be made after ``until``.  ``taken_at`` is when the worker of
    ``node`` took it and made the code, of which there is a hash (``codes.hashed``) until ``valid_until``."""

    id = TextField(primary_key=True)
    request = ForeignKeyField(PersonRequest, column_name="request_id", on_delete="RESTRICT")
    tenant_id = TextField()
    number = TextField(index=True)
    language = TextField()
    asked_at = MomentField()
    until = MomentField()
    node = TextField(null=True)
    taken_at = MaybeMomentField(null=True)
    code_hash = TextField(null=True)
    valid_until = MaybeMomentField(null=True)
    tries = IntegerField()
    outcome = TextField(null=True)

    request_id: str

    class Meta:
        table_name = "person_code"
        indexes = ((("tenant_id", "asked_at"), False),)


class PersonRecording(Row):
    """What was decided and done of a recording that a person asked about: ``given`` (``both`` channels, their
    ``own``, or ``withheld``), and of erasing: when, or why not, and until when that is so."""

    id = TextField(primary_key=True)
    request = ForeignKeyField(PersonRequest, column_name="request_id", on_delete="RESTRICT")
    recording_id = TextField()
    given = TextField(null=True)
    withheld_why = TextField(null=True)
    decided_at = MaybeMomentField(null=True)
    decided_by = TextField(null=True)
    exported_at = MaybeMomentField(null=True)
    erased_at = MaybeMomentField(null=True)
    kept_why = TextField(null=True)
    kept_until = MaybeMomentField(null=True)

    request_id: str

    class Meta:
        table_name = "person_recording"
        indexes = ((("request", "recording_id"), True),)


class ForgottenCall(Row):
    """That a call that was not recorded was forgotten at its person's request; ``id`` is the call's."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    request_id = TextField()
    forgotten_at = MomentField()

    class Meta:
        table_name = "forgotten_call"
        indexes = ((("tenant_id", "request_id"), False),)
