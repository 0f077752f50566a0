"""Numbers that customers show to be theirs, by a code that is told to whoever answers."""

from __future__ import annotations

from peewee import TextField

from recorder.catalogue.tables.verification_call import VerificationCallTable


class NumberProofTable(VerificationCallTable):
    """A call to a number that a customer wants to add. The log has a commitment to the number under
    ``number_salt``. ``line_id`` is the line that the code made."""

    not_copied = "codes that are valid for minutes; the line that one made has a leaf of its own"

    number_salt = TextField()
    line_id = TextField(null=True)

    class Meta:
        table_name = "number_proof"
        indexes = ((("tenant_id", "ordered_at"), False),)
