"""What leaves say about rows, by kind: of which table, which row, and which columns.

A column that a body does not mention is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from peewee import Expression

from recorder.auditlog.append import sha256_of
from recorder.catalogue.database import Table
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable
from recorder.catalogue.tables.audit_log import RecipientTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import ApiTokenTable, SessionTable, UserTable
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable, VerificationCodeTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso
from recorder.features.subject_requests import register, reviews, verification_code
from recorder.features.tenants.keep_options import DELETES, KEEPS, spoken_of
from recorder.identity.users import LOGIN_SHA256, PROFILE_SHA256, login_sha256, profile_sha256

Body = Mapping[str, Any]
Columns = Callable[[Body], Mapping[str, Any]]

THERE: Final = object()
"""Of a column: it has some value."""

WHATEVER: Final = object()
"""Of a column: earlier statements about it no longer apply."""

AT: Final = object()
"""Of a column: the time at which the leaf was written (:class:`Moment`, once that is known)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Of a column: a time, as a leaf states it."""

    at: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Of a column: the SHA-256 (hex) of the text in it, or of the canonical JSON of what is in it."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Committed:
    """Of a request's phone number: its commitment under the request's salt (:func:`register.committed`)."""

    sha256: str


@dataclass(frozen=True, slots=True)
class OrNothing:
    """Of a column: this value, or none any more."""

    said: Any


@dataclass(frozen=True, slots=True)
class Says:
    """What leaves of a kind say about a row: its table, which row (an id, or ``None`` for a body that does
    not say), and its columns. ``makes``: the leaf suffices for such a row to exist."""

    model: type[Table]
    which: Callable[[Body], str | None]
    columns: Columns
    makes: bool = True

    def said(self, body: Body, at: str) -> dict[str, Any]:
        """The columns' values, by a leaf that was written at that time."""
        return {name: Moment(at) if value is AT else value for name, value in self.columns(body).items()}


OWN: Final = ""
"""The row of a leaf that names none: its own customer's."""


def _own(_body: Body) -> str:
    return OWN


def _id(name: str) -> Callable[[Body], str | None]:
    return lambda body: str(body[name]) if name in body else None


def _amendment(body: Body) -> str | None:
    return f"{body['recording']}/{body['number']}"


def _same(*names: str, **others: str) -> Columns:
    """Columns with the value of the body's field of the same name, or of another one; only those that a body
    has."""
    called = {name: name for name in names} | others
    return lambda body: {column: body[name] for column, name in called.items() if name in body}


def _digests(**names: str) -> Columns:
    """Columns with text, or with something that is kept as JSON, whose SHA-256 is in the body (or
    ``None``)."""
    return lambda body: {
        column: None if body[name] is None else Digest(body[name])
        for column, name in names.items()
        if name in body
    }


def _number(body: Body) -> Mapping[str, Any]:
    return {"number": Committed(body["number_sha256"])} if "number_sha256" in body else {}


def _vouched(body: Body) -> Mapping[str, Any]:
    how = Digest(body["how_sha256"])
    if body["vouch"] == 1:
        return {"vouched_at": AT, "vouched_by": body["actor"], "vouched_statement": how}
    return {"verified_by": body["actor"], "verified_statement": how}


def _review(body: Body) -> str:
    return f"{body['request']}/{body['recording']}"


def _or_none(**names: str) -> Columns:
    """Columns that are empty (``NULL``) if the body has an empty text."""
    return lambda body: {column: body[name] or None for column, name in names.items() if name in body}


def _times(**names: str) -> Columns:
    """Columns with a time that is in the body; ``None`` and an empty text mean none."""
    return lambda body: {
        column: Moment(body[name]) if body[name] else None for column, name in names.items() if name in body
    }


def _set(**columns: Any) -> Columns:
    return lambda _body: columns


def _all(*each: Columns) -> Columns:
    return lambda body: {name: value for some in each for name, value in some(body).items()}


_LINE: Final = _all(
    _same(
        "number", "label", "timing", "formats", "mode", "others", "outbound", "beep", "deletable", "keep",
        announcement_id="announcement", menu_sha256="menu",
    ),
    _digests(menu_text="menu_text_sha256", transfer_notice="transfer_notice_sha256"),
    lambda body: {name: body[name] for name in (KEEPS, DELETES) if name in body},
)  # fmt: skip


def _digits(body: Body) -> Mapping[str, Any]:
    return {"digits": str(body["number"]).removeprefix("+")}


def _signs_in(body: Body) -> Mapping[str, Any]:
    return {name: body.get(name, WHATEVER) for name in (LOGIN_SHA256, PROFILE_SHA256)}


_ANNOUNCEMENT: Final = _all(
    _set(question_text=None, question_sha256=None, declined_text=None, declined_sha256=None, composed=None,
         greeting_sha256=None, created_at=AT),
    _same(
        "name", "version", "mode", "purposes", "keep_days", "language", sound_sha256="sound",
        question_sha256="question", declined_sha256="declined", greeting_sha256="greeting",
    ),
    _digests(
        text="text_sha256", question_text="question_text_sha256", declined_text="declined_text_sha256",
        composed="composed_sha256",
    ),
)  # fmt: skip

_KEY: Final = _digests(wrapped_key="key_sha256")

SAID: Final[Mapping[str, Says]] = {
    "tenant.created": Says(
        TenantTable,
        _id("tenant"),
        _all(
            _same("name", "country", "language", "languages", "time_zone", "plan"),
            _set(created_at=AT, log_epoch=1),
            _KEY,
        ),
    ),
    "tenant.changed": Says(TenantTable, _id("tenant"), _same("name", "language")),
    "tenant.country_changed": Says(TenantTable, _id("tenant"), _same("country")),
    "tenant.key_wrapped": Says(TenantTable, _own, _KEY),
    "tenant.key_changed": Says(TenantTable, _own, _KEY),
    "tenant.key_destroyed": Says(TenantTable, _own, _set(wrapped_key="")),
    "log.restarted": Says(TenantTable, _own, _same(log_epoch="epoch")),
    "user.created": Says(
        UserTable, _id("user"), _all(_same("role"), _set(revoked_at=None, created_at=AT), _signs_in)
    ),
    "user.password_changed": Says(UserTable, _id("user"), _signs_in),
    "user.revoked": Says(UserTable, _id("user"), _set(revoked_at=AT)),
    "session.opened": Says(
        SessionTable, _id("session"), _all(_same("token_sha256", user_id="user"), _set(created_at=AT))
    ),
    "session.closed": Says(SessionTable, _id("session"), _set(ended_at=AT), makes=False),
    "token.created": Says(
        ApiTokenTable, _id("token"), _all(_same("token_sha256", "name"), _set(revoked_at=None, created_at=AT))
    ),
    "token.revoked": Says(ApiTokenTable, _id("token"), _set(revoked_at=AT)),
    "recipient.added": Says(
        RecipientTable, _id("recipient"), _all(_same("address"), _set(until=None, since=AT))
    ),
    "recipient.removed": Says(RecipientTable, _id("recipient"), _set(until=AT)),
    "announcement.created": Says(AnnouncementTable, _id("announcement"), _ANNOUNCEMENT),
    "line.created": Says(
        LineTable,
        _id("line"),
        _all(_LINE, _digits, _set(until=None, since=AT, **{KEEPS: None, DELETES: None})),
    ),
    **dict.fromkeys(
        (
            "line.announcement_changed", "line.mode_changed", "line.timing_changed", "line.outbound_changed",
            "line.beep_changed", "line.deletable_changed", "line.keep_question_changed",
            "line.transfer_notice_changed",
        ),
        Says(LineTable, _id("line"), _LINE),
    ),
    "line.ended": Says(LineTable, _id("line"), _set(until=AT)),
    register.ASKED: Says(
        SubjectRequestTable,
        _id("request"),
        _all(
            _same("wants", "received_on", "due_on", "language", entered_kind="by"),
            _or_none(entered_by="actor"),
            _number,
            _set(entered_at=AT, extended_at=None, extension_reason=None, vouched_at=None, vouched_by=None,
                 vouched_statement=None, verified_at=None, verified_how=None, verified_by=None,
                 verified_statement=None,
                 closed_at=None, closed_how=None, exported_at=None),
        ),
    ),
    register.EXTENDED: Says(
        SubjectRequestTable,
        _id("request"),
        _all(_same("due_on"), _digests(extension_reason="reason_sha256"), _set(extended_at=AT)),
    ),
    register.VOUCHED: Says(SubjectRequestTable, _id("request"), _vouched),
    register.PROVED: Says(
        SubjectRequestTable,
        _id("request"),
        _all(_same(verified_how="how"), _or_none(verified_by="actor"), _set(verified_at=AT)),
    ),
    register.CLOSED: Says(
        SubjectRequestTable, _id("request"), _all(_same(closed_how="how"), _set(closed_at=AT))
    ),
    register.EXPORTED: Says(SubjectRequestTable, _id("request"), _set(exported_at=AT)),
    verification_code.ORDERED: Says(
        VerificationCodeTable,
        _id("call"),
        _all(
            _same("language", request_id="request"),
            _number,
            _times(until="until"),
            _set(ordered_at=AT, tries=0, outcome=None, node=None, taken_at=None, valid_until=None,
                 code_hash=None),
        ),
    ),
    verification_code.MADE: Says(
        VerificationCodeTable,
        _id("call"),
        _all(
            _same("node"),
            _times(valid_until="valid_until"),
            lambda body: {"code_hash": OrNothing(Digest(body["code_sha256"]))},
            _set(taken_at=AT),
        ),
    ),
    verification_code.TRIED: Says(VerificationCodeTable, _id("call"), _same("tries")),
    verification_code.CALLED: Says(VerificationCodeTable, _id("call"), _same("outcome")),
    reviews.LOOKED_AT: Says(
        ReviewTable,
        _review,
        _all(
            _same(request_id="request", recording_id="recording"),
            _set(given=None, withheld_reason=None, decided_at=None, decided_by=None, exported_at=None,
                 erased_at=None, kept_reason=None, kept_until=None),
        ),
    ),
    reviews.REVIEWED: Says(
        ReviewTable,
        _review,
        _all(_same("given"), _or_none(withheld_reason="reason", decided_by="actor"), _set(decided_at=AT)),
    ),
    reviews.EXPORTED: Says(ReviewTable, _review, _set(exported_at=AT)),
    reviews.ERASED: Says(ReviewTable, _review, _set(erased_at=AT, kept_reason=None, kept_until=None)),
    reviews.KEPT: Says(
        ReviewTable,
        _review,
        _all(_or_none(kept_reason="reason"), _times(kept_until="until"), _set(erased_at=None)),
    ),
    "recording.stored": Says(
        RecordingTable, _id("recording"), _same("manifest_sha256", "announced", "import_sha256")
    ),
    "recording.rebuilt": Says(RecordingTable, _id("recording"), _same("manifest_sha256")),
    "recording.erased": Says(
        RecordingTable, _id("recording"), _all(_same(erasure_reason="reason"), _set(erased_at=THERE))
    ),
    "recording.amended": Says(AmendmentTable, _amendment, _same("number", "sha256", "kind")),
    "call.not_recorded": Says(
        NotRecordedTable,
        _id("recording"),
        _all(
            _same("reason", "number", "direction", "node", "external_kind", "external_value", line_id="line"),
            _times(started_at="started_at", ended_at="ended_at", quarantined_until="quarantined_until"),
            _set(listed_at=AT),
        ),
    ),
    "command.requested": Says(
        LiveCommandTable,
        _id("command"),
        _all(_same("action", call_id="call", by_kind="by", by_id="actor"), _set(requested_at=AT)),
    ),
    "command.answered": Says(
        LiveCommandTable,
        _id("command"),
        _all(_same("action", "outcome", call_id="call"), _set(answered_at=AT)),
        makes=False,
    ),
    "grant.given": Says(
        GrantTable,
        _id("grant"),
        _all(
            _same("purpose", "manifest_sha256", user_id="user", recording_id="recording"),
            lambda body: {"session_id": OrNothing(body["session"] or None)} if "session" in body else {},
            _set(granted_at=AT),
        ),
    ),
    "listen.opened": Says(
        ListenTable, _id("listen"), _all(_same("name", grant_id="grant"), _set(opened_at=AT))
    ),
    "listen.closed": Says(
        ListenTable,
        _id("listen"),
        _all(_set(listen_report=None), _same("sent_bytes", "listen_report"), _set(closed_at=AT)),
        makes=False,
    ),
}  # fmt: skip

CHANGING: Final = (
    TenantTable,
    UserTable,
    LineTable,
    ApiTokenTable,
    RecipientTable,
    SubjectRequestTable,
    VerificationCodeTable,
    ReviewTable,
)
"""Tables of few rows, about which later leaves may say something else: the last one counts."""

ENDS: Final[Mapping[type[Table], tuple[str, ...]]] = {
    SessionTable: ("ended_at",), ListenTable: ("closed_at",), LiveCommandTable: ("outcome", "answered_at"),
}  # fmt: skip
"""Tables of many rows: the columns that are empty until a leaf states the row's end."""

LEAVING: Final = frozenset({"tenant.erasure_started", "tenant.offboarded"})
"""Kinds after which rows about people may be empty or deleted: their customer has left."""

OF_PEOPLE: Final = (
    ApiTokenTable,
    RecipientTable,
    SubjectRequestTable,
    VerificationCodeTable,
    ReviewTable,
    LiveCommandTable,
)
"""Tables that are deleted with a customer who leaves."""


def rows_of(model: Any, tenant: str) -> Expression:
    """The condition that a row is a tenant's."""
    if model is SessionTable:
        return SessionTable.user.in_(UserTable.select(UserTable.id).where(UserTable.tenant == tenant))
    if model is ReviewTable:
        mine = SubjectRequestTable.select(SubjectRequestTable.id).where(
            SubjectRequestTable.tenant_id == tenant
        )
        return ReviewTable.request.in_(mine)
    return (getattr(model, "tenant", None) or model.tenant_id) == tenant  # type: ignore[no-any-return]


def is_owned(row: Table, tenant: str) -> bool:
    """Whether a row names a customer, or refers to another row that does and is compared itself."""
    return isinstance(row, TenantTable) or getattr(row, "tenant_id", tenant) == tenant


COMPLETE: Final = (
    AnnouncementTable, GrantTable, LineTable, ListenTable, NotRecordedTable, RecordingTable, UserTable,
    SessionTable, ApiTokenTable, RecipientTable, SubjectRequestTable, VerificationCodeTable, ReviewTable,
    LiveCommandTable, PurposeTable,
)  # fmt: skip
"""Tables in which every row has a leaf. Nothing creates a customer's own purpose yet."""


def agrees(row: Table, column: str, said: Any) -> bool:
    """Whether a row's column is what a leaf says; a value in a form that is never written is not."""
    try:
        return said is WHATEVER or _agrees(row, column, said)
    except (ValueError, TypeError, AttributeError):
        return False


def _agrees(row: Table, column: str, said: Any) -> bool:
    value = _value(row, column)
    if said is THERE:
        return value is not None
    if isinstance(said, OrNothing):
        return _gone(column, said.said) if value is None else agrees(row, column, said.said)
    if isinstance(said, Moment):
        return isinstance(value, datetime) and to_iso(value) == said.at
    if isinstance(said, Digest):
        return value is not None and sha256_of(value) == said.sha256
    if isinstance(said, Committed):
        return register.digest(f"{_salt(row)}\n{value}") == said.sha256
    if isinstance(said, bool):
        return bool(value) == said and value in (0, 1)
    return bool(value == said)


def _gone(column: str, said: Any) -> bool:
    """Whether a column may have become empty: a grant loses its session once that is forgotten."""
    return column != "session_id" or not SessionTable.select().where(SessionTable.id == said).exists()


def _value(row: Table, column: str) -> Any:
    if isinstance(row, UserTable) and column == LOGIN_SHA256:
        return login_sha256(row.login, row.password_hash)
    if isinstance(row, UserTable) and column == PROFILE_SHA256:
        return profile_sha256(row.password_hash, row.name, row.language)
    if isinstance(row, LineTable) and column in (KEEPS, DELETES):
        return spoken_of(LineKeepOptionTable if column == KEEPS else LineDeleteOptionTable, row.id)
    field = {each.column_name: each.name for each in row._meta.sorted_fields}[column]
    return row.__data__[field]


def _salt(row: Table) -> str | None:
    if isinstance(row, VerificationCodeTable):
        mine = SubjectRequestTable.select(SubjectRequestTable.number_salt).where(
            SubjectRequestTable.id == row.request_id
        )
        return mine.scalar()  # type: ignore[no-any-return]
    return row.number_salt if isinstance(row, SubjectRequestTable) else None
