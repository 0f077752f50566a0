"""The tables of the catalogue.

Nothing outside ``recorder.catalogue`` and ``recorder.auditlog`` uses these models: the rest of Accord asks
``queries.py``, where every question has a tenant.
"""

from __future__ import annotations

from peewee import SQL, BigIntegerField, BlobField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import (
    DataField,
    MaybeMomentField,
    MomentField,
    Table,
)
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable, SubtreeTable
from recorder.catalogue.tables.lease import LeaseTable
from recorder.catalogue.tables.live_call import ApiTokenTable, LiveCallTable, LiveCommandTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable, OffboardingTable
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable, QueuedPlaceTable
from recorder.catalogue.tables.subject_request import (
    ErasedCallTable,
    ReviewTable,
    SubjectRequestTable,
    VerificationCodeTable,
)
from recorder.catalogue.tables.throttle import ThrottleTable


class TenantTable(Table):
    id = TextField(primary_key=True)
    name = TextField()
    language = TextField()
    languages = DataField()
    time_zone = TextField()
    plan = TextField()
    country = TextField()
    wrapped_key = TextField()
    ledger_size = BigIntegerField(default=0)
    ledger_epoch = IntegerField(default=1, constraints=[SQL("DEFAULT 1")])
    created_at = MomentField()

    class Meta:
        table_name = "tenant"


class UserTable(Table):
    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    login = TextField(unique=True)
    name = TextField()
    role = TextField()
    language = TextField()
    password_hash = TextField()
    created_at = MomentField()
    revoked_at = MaybeMomentField(null=True)
    credential = TextField(null=True)

    tenant_id: str

    class Meta:
        table_name = "user_account"


class SessionTable(Table):
    id = TextField(primary_key=True)
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="CASCADE")
    token_sha256 = TextField(unique=True)
    created_at = MomentField()
    seen_at = MomentField()
    until = MomentField(index=True)
    ended_at = MaybeMomentField(null=True)

    user_id: str

    class Meta:
        table_name = "session"


class SoundTable(Table):
    sha256 = TextField(primary_key=True)
    wav = BlobField()
    duration_ms = IntegerField()
    created_at = MomentField()

    class Meta:
        table_name = "sound"


class PurposeTable(Table):
    """A tenant's own purpose; the standard ones are data in ``recorder/prompts``."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    code = TextField()
    labels = DataField()
    legal_basis = TextField()
    longest_days = IntegerField()
    roles = DataField()
    created_at = MomentField()

    tenant_id: str

    class Meta:
        table_name = "purpose"
        indexes = ((("tenant", "code"), True),)


def _sound(column: str) -> ForeignKeyField:
    """A sound that may be there."""
    name = f"{column.removesuffix('_sha256')}_id"
    return ForeignKeyField(
        SoundTable, column_name=column, object_id_name=name, null=True, on_delete="RESTRICT", backref="+"
    )


def _said(column: str) -> ForeignKeyField:
    """A sound that is there."""
    name = f"{column.removesuffix('_sha256')}_id"
    return ForeignKeyField(
        SoundTable, column_name=column, object_id_name=name, on_delete="RESTRICT", backref="+"
    )


class AnnouncementTable(Table):
    """One immutable version, made for one mode; a change is a new row with the next version.

    ``question`` and ``declined`` are said beside it where the mode asks.  ``composed`` is how it was put
    together from the catalogue's sentences (``reading.composed_data``), ``None`` for a customer's own sound;
    ``greeting`` the sound of the greeting that it was put together with."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    name = TextField()
    version = IntegerField()
    language = TextField()
    text = TextField()
    purposes = DataField()
    keep_days = IntegerField()
    sound = ForeignKeyField(
        SoundTable, column_name="sound_sha256", object_id_name="sound_id", on_delete="RESTRICT"
    )
    mode = TextField(default="notice", constraints=[SQL("DEFAULT 'notice'")])
    question_text = TextField(null=True)
    question = _sound("question_sha256")
    declined_text = TextField(null=True)
    declined = _sound("declined_sha256")
    composed = DataField(null=True)
    greeting = _sound("greeting_sha256")
    created_at = MomentField()

    tenant_id: str
    sound_id: str
    question_id: str | None
    declined_id: str | None
    greeting_id: str | None

    class Meta:
        table_name = "announcement"
        indexes = ((("tenant", "name", "version"), True),)


class LineTable(Table):
    """A number and whose it is, from ``since`` up to ``until``; while ``until`` is empty, nobody else's.

    ``announcement`` is said in its first language, ``others`` are the ids of those in further languages, in
    the menu's order; ``menu`` lets choose where there are any.  ``keep`` is how it asks whether a recording
    may be kept (``rows.Keeping``), in the words of :class:`LineKeepOptionTable`; ``deletable`` whether a
    colleague may have one destroyed in the call, in those of :class:`LineDeleteOptionTable`.  ``beep``:
    ``policy.BEEPS``, or empty. ``joining`` is what a colleague who joins later is told
    (``reading.joining_data``); ``outbound``: how its outbound calls are treated, ``policy.OUTBOUND``."""

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
    menu = _sound("menu_sha256")
    keep = DataField(null=True)
    deletable = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    beep = TextField(default="", constraints=[SQL("DEFAULT ''")])
    joining = DataField(null=True)
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
    """What a line says about keeping a recording, in the call, in one of its languages: the question (none
    where the colleague asks in their own words), a word to the colleague, and what both hear of a yes, a no
    and no answer."""

    id = TextField(primary_key=True)
    line = ForeignKeyField(LineTable, column_name="line_id", on_delete="RESTRICT")
    language = TextField()
    question_text = TextField(null=True)
    question = _sound("question_sha256")
    cue_text = TextField()
    cue = _said("cue_sha256")
    yes_text = TextField()
    yes = _said("yes_sha256")
    no_text = TextField()
    no = _said("no_sha256")
    none_text = TextField()
    none = _said("none_sha256")

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
    """What is said on a line, in one of its languages, where a colleague may have a recording destroyed in
    the call: the question to them, and to both that it was."""

    id = TextField(primary_key=True)
    line = ForeignKeyField(LineTable, column_name="line_id", on_delete="RESTRICT")
    language = TextField()
    question_text = TextField()
    question = _said("question_sha256")
    deleted_text = TextField()
    deleted = _said("deleted_sha256")

    line_id: str
    question_id: str
    deleted_id: str

    class Meta:
        table_name = "line_delete"
        indexes = ((("line", "language"), True),)


class RecordingTable(Table):
    """A stored recording, found by its manifest; after its destruction a tombstone without parties.

    Line and announcement are named, not referenced: what the manifest says of them stands by itself, also
    in a catalogue that was rebuilt from the bucket.  ``agreed`` has the day up to which it was agreed to
    keep it, by purpose.  ``brought_in`` is the SHA-256 of the file that it was, where it comes from
    elsewhere.
    """

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    line_id = TextField()
    number = TextField()
    direction = TextField()
    outside_kind = TextField(null=True)
    outside_value = TextField(null=True)
    inside_kind = TextField(null=True)
    inside_value = TextField(null=True)
    started_at = MomentField()
    duration_ms = IntegerField()
    announcement_id = TextField()
    announcement_version = IntegerField()
    announced = IntegerField()
    purposes = DataField()
    restricted = DataField()
    kept = TextField(null=True)
    agreed = DataField(default=dict, constraints=[SQL("DEFAULT '{}'")])
    keep_until = MomentField(index=True)
    prefix = TextField(unique=True)
    manifest_sha256 = TextField()
    wrapped_key = TextField(null=True)
    objects = DataField()
    stored_bytes = BigIntegerField()
    stored_at = MomentField()
    destroyed_at = MaybeMomentField(null=True)
    destroyed_why = TextField(null=True)
    brought_in = TextField(null=True, index=True)

    tenant_id: str

    class Meta:
        table_name = "recording"
        indexes = ((("tenant", "started_at", "id"), False),)


class AmendmentTable(Table):
    """Something sealed about a recording after its manifest, as the bucket has it; ``ended_by`` is the
    number of the amendment that ended this one (a hold that was lifted)."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    recording = ForeignKeyField(RecordingTable, column_name="recording_id", on_delete="RESTRICT")
    number = IntegerField()
    kind = TextField()
    at = MomentField()
    by_kind = TextField()
    by_id = TextField(null=True)
    data = DataField()
    sha256 = TextField()
    ended_by = IntegerField(null=True)

    tenant_id: str
    recording_id: str

    class Meta:
        table_name = "amendment"
        indexes = ((("recording", "number"), True),)


class RetentionLimitTable(Table):
    """That a customer keeps recordings for a shorter time: the bytes of the signed ``statement``, and of
    the one that it is lifted (``seal.retention_limit``), as the bucket has them.  ``leaf`` and
    ``lifted_leaf`` are the numbers of the leaves that say so in the customer's log; a statement without its
    leaf counts for nothing yet. ``settled_after`` is the last recording that was looked at with it,
    ``settled_at`` when all were."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    statement = TextField()
    leaf = IntegerField(null=True)
    lifted = TextField(null=True)
    lifted_leaf = IntegerField(null=True)
    settled_after = TextField(null=True)
    settled_at = MaybeMomentField(null=True)

    tenant_id: str

    class Meta:
        table_name = "keeping_limit"


class PendingAmendmentTable(Table):
    """A recording to which somebody is putting an amendment: where they die, it is looked at again."""

    recording_id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    since = MomentField()

    tenant_id: str

    class Meta:
        table_name = "being_amended"


class NotRecordedTable(Table):
    """A call of which no recording is kept, and why; without a tenant where no line has its number."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", null=True, on_delete="RESTRICT")
    line_id = TextField(null=True)
    number = TextField()
    direction = TextField()
    node = TextField()
    outside_kind = TextField()
    outside_value = TextField()
    started_at = MomentField()
    ended_at = MomentField()
    reason = TextField()
    quarantined_until = MaybeMomentField(null=True)
    noted_at = MomentField()

    tenant_id: str | None

    class Meta:
        table_name = "not_recorded"
        indexes = ((("tenant", "started_at", "id"), False),)


class GrantTable(Table):
    """One person may hear one recording for one purpose until a time.  ``leaf`` is the number of the leaf
    that gave it, or last said that it was renewed, ``renewals`` how often it was since."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="RESTRICT")
    session = ForeignKeyField(SessionTable, column_name="session_id", null=True, on_delete="SET NULL")
    recording = ForeignKeyField(RecordingTable, column_name="recording_id", on_delete="RESTRICT")
    purpose = TextField()
    manifest_sha256 = TextField()
    given_at = MomentField()
    until = MomentField(index=True)
    ended_at = MaybeMomentField(null=True)
    leaf = BigIntegerField(null=True)
    renewals = IntegerField(null=True)

    tenant_id: str
    user_id: str
    session_id: str | None
    recording_id: str

    class Meta:
        table_name = "access_grant"
        indexes = ((("user", "given_at"), False),)


class ListenTable(Table):
    """Listening under a grant: written before its first byte, closed with how much was sent, and what the
    player says was played of it (:mod:`recorder.playback.playback_report`), where it said so.  ``play`` is
    the token of the player that last asked, ``leaf`` the number of the leaf that says it was opened."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    grant = ForeignKeyField(GrantTable, column_name="grant_id", on_delete="RESTRICT")
    play = TextField()
    name = TextField()
    opened_at = MomentField()
    sent_bytes = BigIntegerField(default=0)
    last_sent_at = MomentField()
    closed_at = MaybeMomentField(null=True)
    player_says = DataField(null=True)
    leaf = BigIntegerField(null=True)

    tenant_id: str
    grant_id: str

    class Meta:
        table_name = "listen"


ListenTable.add_index(
    ListenTable.grant, ListenTable.play, unique=True, where=SQL("closed_at IS NULL"), name="listen_play_open"
)


class LeafTable(Table):
    """A leaf of a tenant's log.  ``leaf`` is what is hashed, without personal data; ``body`` and
    ``salt`` open its commitment and die with what they speak of."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    number = BigIntegerField()
    kind = TextField()
    at = MomentField()
    recording_id = TextField(null=True, index=True)
    body = TextField(null=True)
    salt = BlobField(null=True)
    leaf = TextField()
    leaf_hash = TextField()

    tenant_id: str

    class Meta:
        table_name = "ledger_entry"
        indexes = ((("tenant", "number"), True),)


LeafTable.add_index(
    LeafTable.tenant,
    LeafTable.number,
    where=SQL("kind IN ('holds.unconfirmed', 'holds.confirmed')"),
    name="ledger_entry_holds",
)

DECIDED = SQL(
    "kind IN ('announcement.created', 'keeping.lifted', 'keeping.limited', 'line.created', "
    "'line.ended', 'token.revoked', 'user.password_changed', 'user.revoked')"
)
"""Kinds of leaves that are looked for before a row about the same is believed, as their index has them."""

LeafTable.add_index(
    LeafTable.tenant, LeafTable.kind, LeafTable.number, where=DECIDED, name="ledger_entry_decided"
)


class ChangeCounterTable(Table):
    """Counts changes that a node must hear of; ``lines`` is what the snapshot is made of."""

    name = TextField(primary_key=True)
    number = IntegerField()

    class Meta:
        table_name = "revision"


TABLES: tuple[type[Table], ...] = (
    TenantTable,
    UserTable,
    SessionTable,
    SoundTable,
    PurposeTable,
    AnnouncementTable,
    LineTable,
    LineDeleteOptionTable,
    LineKeepOptionTable,
    RecordingTable,
    NotRecordedTable,
    GrantTable,
    ListenTable,
    LeafTable,
    ChangeCounterTable,
    AmendmentTable,
    RetentionLimitTable,
    PendingAmendmentTable,
    GlobalStateTable,
    QueuedPlaceTable,
    LeaseTable,
    LiveCallTable,
    LiveCommandTable,
    ApiTokenTable,
    SubtreeTable,
    CheckpointTable,
    RecipientTable,
    SubjectRequestTable,
    VerificationCodeTable,
    ReviewTable,
    ErasedCallTable,
    OffboardingTable,
    HandedRecordingTable,
    ThrottleTable,
    HandoverFetchTable,
)
