"""Mail that waits to be sent."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table


class OutgoingMailTable(Table):
    """A mail to one person. Its address and text are in ``content``, which only Accord's processes can read
    or write (:mod:`recorder.mail.outbox`). ``about`` names the person or invitation; ``send_from`` is when a
    mail is to be sent that is not sent at once; ``refused`` is the reply code of a mail server that will not
    accept it."""

    not_copied = "what is being sent now: its links may have been used since"
    not_compared = (
        (
            "id tenant_id about content until",
            "encrypted for its own row, and sent only as it was written; a row that is changed or made up "
            "is deleted",
        ),
        (
            "kind created_at attempts next_at send_from refused",
            "progress of sending: at worst a mail comes later, twice or not at all",
        ),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    about = TextField()
    kind = TextField()
    content = TextField()
    created_at = MomentField()
    until = MomentField(index=True)
    attempts = IntegerField()
    next_at = MomentField(index=True)
    send_from = MaybeMomentField(null=True)
    refused = TextField(null=True)

    class Meta:
        table_name = "outgoing_mail"
