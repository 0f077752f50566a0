"""Notifications to a customer's admins, and what each admin has chosen and read."""

from __future__ import annotations

from peewee import SQL, ForeignKeyField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class NotificationTable(Table):
    """What a customer's admins are told: that a line is not recorded, that work has ended, or that a review
    is due. ``kind`` and ``cause`` are codes of ``features/notifications/rules.py``; ``key`` names the
    occasion, so that there is one row for each. It is open until ``ended_at``, when ``outcome`` says how it
    ended. ``mailed`` is the state that the last mail described. A row that names a recording is deleted when
    the recording is erased."""

    offboarding = "deleted"

    not_compared = (
        (
            "id tenant_id kind cause key line_id recording_id data since ended_at outcome changed_at "
            "mailed mailed_at",
            "information that decides nothing; a mail about it goes to admins whose rows are as signed",
        ),
    )

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT", index=False)
    kind = TextField()
    cause = TextField()
    key = TextField()
    line_id = TextField(null=True)
    recording_id = TextField(null=True, index=True)
    data = DataField()
    since = MomentField()
    ended_at = MaybeMomentField(null=True)
    outcome = TextField(null=True)
    changed_at = MomentField()
    mailed = TextField(null=True)
    mailed_at = MaybeMomentField(null=True)

    tenant_id: str

    class Meta:
        table_name = "notification"
        indexes = ((("tenant", "key"), True), (("tenant", "changed_at"), False))


class NotificationChoiceTable(Table):
    """How a user is told, by kind of notification (``choices``), and up to when they have read them; ``id``
    is the user's. ``read_marks`` has the notifications that they marked by themselves, each with the change
    that it had then, and whether as read."""

    offboarding = "deleted"

    not_compared = (
        ("id tenant_id choices read_until read_marks", "a person's own choice of how to be told"),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    choices = DataField()
    read_until = MaybeMomentField(null=True)
    read_marks = DataField(default=dict, constraints=[SQL("DEFAULT '{}'")])

    class Meta:
        table_name = "notification_choice"
