"""Lines, and the sentences of their keep and delete questions."""

from __future__ import annotations

from peewee import SQL, BlobField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import DataField, MaybeMomentField, MomentField, Table
from recorder.catalogue.tables.announcement import AnnouncementTable, optional_sound, required_sound
from recorder.catalogue.tables.tenant import TenantTable


class LineTable(Table):
    """A tenant's number from ``since`` until ``until``; while ``until`` is empty, no other tenant can have
    it.

    ``announcement`` is that of the first language; ``others`` are the ids of those in further languages, in
    the order of the language ``menu``. ``keep`` says how the keep question is asked
    (``records.KeepOptions``), with the sentences of :class:`LineKeepOptionTable`. ``deletable``: the internal
    party may have the recording destroyed during the call, with the sentences of
    :class:`LineDeleteOptionTable`. ``beep`` is one of ``policy.BEEPS``, or empty. ``transfer_notice`` is the
    announcement to transfer targets (``mappers.transfer_options_data``). ``outbound`` is one of
    ``line_policy.OUTBOUND_TIMINGS``. ``mode`` is that of its announcements, or ``off`` while it is not
    recorded."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    number = TextField()
    digits = TextField()
    label = TextField()
    mode = TextField()
    timing = TextField()
    formats = DataField()
    announcement = ForeignKeyField(AnnouncementTable, column_name="announcement_id", on_delete="RESTRICT")
    others = DataField(default=list, constraints=[SQL("DEFAULT '[]'")])
    menu_text = TextField(null=True)
    menu = optional_sound("menu_sha256")
    keep = DataField(null=True)
    deletable = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    beep = TextField(default="", constraints=[SQL("DEFAULT ''")])
    transfer_notice = DataField(null=True)
    outbound = TextField(default="off", constraints=[SQL("DEFAULT 'off'")])
    since = MomentField()
    until = MaybeMomentField(null=True)

    tenant_id: str
    announcement_id: str
    menu_id: str | None

    class Meta:
        table_name = "line"


LineTable.add_index(LineTable.digits, unique=True, where=SQL("until IS NULL"), name="line_digits_active")


class LineKeepOptionTable(Table):
    """The sentences of a line's keep question in one language: the question (none if the internal party asks
    in their own words), the cue to the internal party, and the confirmation to both of a yes, a no, and no
    answer."""

    not_compared = (("id", "nothing refers to it"),)

    id = TextField(primary_key=True)
    line = ForeignKeyField(LineTable, column_name="line_id", on_delete="RESTRICT")
    language = TextField()
    question_text = TextField(null=True)
    question = optional_sound("question_sha256")
    cue_text = TextField()
    cue = required_sound("cue_sha256")
    yes_text = TextField()
    yes = required_sound("yes_sha256")
    no_text = TextField()
    no = required_sound("no_sha256")
    none_text = TextField()
    none = required_sound("none_sha256")

    line_id: str
    question_id: str | None
    cue_id: str
    yes_id: str
    no_id: str
    none_id: str

    class Meta:
        table_name = "line_keep"
        indexes = ((("line", "language"), True),)


class LineDeleteOptionTable(Table):
    """The sentences in one language for destroying a recording during the call: the question to the internal
    party, and the confirmation to both."""

    not_compared = (("id", "nothing refers to it"),)

    id = TextField(primary_key=True)
    line = ForeignKeyField(LineTable, column_name="line_id", on_delete="RESTRICT")
    language = TextField()
    question_text = TextField()
    question = required_sound("question_sha256")
    deleted_text = TextField()
    deleted = required_sound("deleted_sha256")

    line_id: str
    question_id: str
    deleted_id: str

    class Meta:
        table_name = "line_delete"
        indexes = ((("line", "language"), True),)


class LineDraftTable(Table):
    """How somebody is about to set up a line: the ``settings`` (``features/tenants/drafts.py``), and the WAV
    of the greeting. It decides nothing: whoever switches it on names the hash of what was previewed."""

    not_copied = "what is not switched on yet"
    not_compared = (
        (
            "line_id settings greeting changed_at changed_by",
            "a draft, which is shown and heard again before it is switched on: the form names the hash of "
            "what was heard",
        ),
    )

    line = ForeignKeyField(
        LineTable, column_name="line_id", primary_key=True, on_delete="RESTRICT", index=False
    )
    settings = DataField()
    greeting = BlobField(null=True)
    changed_at = MomentField()
    changed_by = TextField()

    line_id: str

    class Meta:
        table_name = "line_draft"
