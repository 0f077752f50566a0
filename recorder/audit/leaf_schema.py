"""The statements of leaves about rows, by kind: the table, the row, and the values of columns.

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
from recorder.catalogue.tables.branding import BrandingTable
from recorder.catalogue.tables.contact import ContactTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.extension import ExtensionTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import ApiTokenTable, InvitationTable, SessionTable, UserTable
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.second_factor import FactorResetTable, SecondFactorTable, SignInRuleTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.usage import UsageTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.clock import to_iso
from recorder.features.branding import service as branding
from recorder.features.contacts.service import NAMED
from recorder.features.notes.service import ADDED, DELETED, EDITED
from recorder.features.own_call import codes as own_calls
from recorder.features.subject_requests import reviews, rules
from recorder.features.team import extensions, invitations
from recorder.features.tenants.keep_options import DELETES, KEEPS, prompts_sha256
from recorder.identity import download_permission, users
from recorder.identity.factor_reset import ENDED, REQUESTED
from recorder.identity.factor_set import CHANGED
from recorder.identity.sign_in_rule import RULE_CHANGED
from recorder.identity.users import LOGIN_SHA256, PROFILE, PROFILE_SHA256, display_hash, login_hash
from recorder.lifecycle import line_proposals, suspension
from recorder.lifecycle.contact_erasure import DELETED as CONTACT_DELETED
from recorder.verification_calls.code import commit_text
from recorder.verification_calls.register import CALLED, CREATED, ORDERED, ROOM, TAKEN, TRIED, USES

Body = Mapping[str, Any]
Columns = Callable[[Body], Mapping[str, Any]]

ANY_VALUE: Final = object()
"""A column's value: any but NULL."""

NO_LONGER_STATED: Final = object()
"""A column's value: any, as earlier statements about it no longer apply."""

LEAF_TIME: Final = object()
"""A column's value: the time of the leaf (becomes a :class:`Moment`)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A column's value: a time, as a leaf states it."""

    at: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A column's value by its SHA-256 (hex): that of a text, or of the canonical JSON of a list or
    mapping."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A phone number or a name, by its commitment under the row's salt
    (:func:`recorder.verification_calls.code.commit_text`)."""

    sha256: str


@dataclass(frozen=True, slots=True)
class ValueOrNone:
    """A column's value: this one, or NULL since."""

    value: Any


@dataclass(frozen=True, slots=True)
class RowStatement:
    """The statement of a kind of leaf about a row: its table, its id (``None`` if the body names none), and
    its columns. ``makes``: the leaf justifies the row's existence."""

    model: type[Table]
    which: Callable[[Body], str | None]
    columns: Columns
    makes: bool = True

    def values(self, body: Body, at: str) -> dict[str, Any]:
        """The columns' values by a leaf with this body and time."""
        return {
            name: Moment(at) if value is LEAF_TIME else value for name, value in self.columns(body).items()
        }


def _about(
    model: type[Table],
    which: str | Callable[[Body], str | None],
    columns: Mapping[str, Columns],
    makes: bool = True,
) -> dict[str, RowStatement]:
    """The statements of several kinds of leaf about rows of a table, which the field ``which`` of their
    bodies names."""
    find = _id(which) if isinstance(which, str) else which
    return {kind: RowStatement(model, find, each, makes) for kind, each in columns.items()}


OWN_TENANT: Final = ""
"""Stands for the id of the leaf's own tenant."""


def _own(_body: Body) -> str:
    return OWN_TENANT


def _id(name: str) -> Callable[[Body], str | None]:
    return lambda body: str(body[name]) if name in body else None


def _amendment(body: Body) -> str | None:
    return f"{body['recording']}/{body['number']}"


def _same(*names: str, **others: str) -> Columns:
    """Columns with the value of the body's field of the same name, or of the given one, if the body has
    it."""
    columns = {name: name for name in names} | others
    return lambda body: {column: body[name] for column, name in columns.items() if name in body}


def _digests(**names: str) -> Columns:
    """Columns whose SHA-256 (or ``None``) is in the body."""
    return lambda body: {
        column: None if body[name] is None else Digest(body[name])
        for column, name in names.items()
        if name in body
    }


def _number(body: Body) -> Mapping[str, Any]:
    return {"number": Commitment(body["number_sha256"])} if "number_sha256" in body else {}


def _contact_name(body: Body) -> Mapping[str, Any]:
    return {"name": Commitment(body["name_sha256"])}


def _vouched(body: Body) -> Mapping[str, Any]:
    how = Digest(body["how_sha256"])
    if body["vouch"] == 1:
        return {"vouched_at": LEAF_TIME, "vouched_by": body["actor"], "vouched_statement": how}
    return {"verified_by": body["actor"], "verified_statement": how}


def _review(body: Body) -> str:
    return f"{body['request']}/{body['recording']}"


def _or_none(**names: str) -> Columns:
    """Columns that are NULL if the body's field is empty."""
    return lambda body: {column: body[name] or None for column, name in names.items() if name in body}


def _times(**names: str) -> Columns:
    """Columns with a time from the body; ``None`` and an empty text mean NULL."""
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
    return {name: body.get(name, NO_LONGER_STATED) for name in (LOGIN_SHA256, PROFILE_SHA256)}


def _access(body: Body) -> Mapping[str, Any]:
    return {"role": body["role"], "lines": None if body["all_lines"] else body["lines"]}


def _ended_invitation(outcome: str) -> Columns:
    return _set(ended_at=LEAF_TIME, outcome=outcome, address="", name="", statement=None)


_INVITATION: Final = _all(_access, _digests(statement="statement_sha256"))

_ANNOUNCEMENT: Final = _all(
    _set(question_text=None, question_sha256=None, declined_text=None, declined_sha256=None, composed=None,
         greeting_sha256=None, created_at=LEAF_TIME),
    _same(
        "name", "version", "mode", "purposes", "keep_days", "language", sound_sha256="sound",
        question_sha256="question", declined_sha256="declined", greeting_sha256="greeting",
    ),
    _digests(
        text="text_sha256", question_text="question_text_sha256", declined_text="declined_text_sha256",
        composed="composed_sha256",
    ),
)  # fmt: skip

_SIGNED_SETTING: Final = _all(_same("number"), _digests(statement="statement_sha256"))

_KEY: Final = _digests(wrapped_key="key_sha256")


def _verification_calls(use: str) -> dict[str, RowStatement]:
    """The statements about calls for a use."""
    order = _all(
        _set(use=use, request_id=None, dispute_id=None, guest_id=None, recording_id=None,
             ordered_at=LEAF_TIME, tries=0, outcome=None, node=None, taken_at=None, valid_until=None,
             code_hash=None),
        _same(
            "language", request_id="request", dispute_id="dispute", guest_id="guest", recording_id="recording"
        ),
        _number,
        _times(until="until"),
    )  # fmt: skip
    creation = _all(
        _same("node"),
        _times(valid_until="valid_until"),
        _digests(code_hash="code_sha256"),
        _set(taken_at=LEAF_TIME),
    )
    attempt = _all(_same("tries"), lambda body: {"code_hash": None} if body["correct"] else {})
    columns = {ORDERED: order, CREATED: creation, TRIED: attempt, CALLED: _same("outcome")}
    if use == ROOM:
        columns = {
            ORDERED: order,
            TAKEN: _all(_same("node"), _set(taken_at=LEAF_TIME)),
            CALLED: columns[CALLED],
        }
    return _about(VerificationCallTable, "call", {f"{use}.{kind}": each for kind, each in columns.items()})


STATEMENTS: Final[Mapping[str, RowStatement]] = {
    **_about(TenantTable, "tenant", {
        "tenant.created": _all(
            _same("name", "country", "language", "languages", "time_zone", "plan"),
            _set(created_at=LEAF_TIME, log_epoch=1),
            _KEY,
        ),
        "tenant.changed": _same("name", "language", "time_zone"),
        "tenant.country_changed": _same("country"),
        "tenant.country_decided": _same("country"),
        "tenant.plan_changed": _same("plan"),
        suspension.TENANT_SUSPENDED: _set(),
        suspension.TENANT_RESUMED: _set(),
    }),
    **_about(TenantTable, _own, {
        "tenant.key_wrapped": _KEY,
        "tenant.key_changed": _KEY,
        "tenant.key_destroyed": _set(wrapped_key=""),
        "log.restarted": _same(log_epoch="epoch"),
    }),
    **_about(UserTable, "user", {
        "user.created": _all(
            _set(lines=None, revoked_at=None, created_at=LEAF_TIME),
            _same("role", "lines"),
            _signs_in,
        ),
        PROFILE: _same(PROFILE_SHA256),
        "user.password_changed": _signs_in,
        users.LOGIN_CHANGED: _signs_in,
        users.ACCESS_CHANGED: _access,
        "user.revoked": _set(revoked_at=LEAF_TIME),
    }),
    **_about(SecondFactorTable, "user", {CHANGED: _SIGNED_SETTING}),
    **_about(SignInRuleTable, _own, {RULE_CHANGED: _SIGNED_SETTING}),
    **_about(BrandingTable, _own, {branding.CHANGED: _SIGNED_SETTING}),
    **_about(DownloadPermissionTable, "user", {download_permission.CHANGED: _SIGNED_SETTING}),
    **_about(OwnCallTable, "recording", dict.fromkeys(
        (own_calls.GIVEN, own_calls.WITHDRAWN), _all(_SIGNED_SETTING, _same("code_mac", guest_id="guest"))
    )),
    **_about(FactorResetTable, "request", {
        REQUESTED: _all(
            _same(user_id="user", requested_by="actor"),
            _digests(statement="statement_sha256"),
            _set(requested_at=LEAF_TIME, ended_at=None),
        ),
    }),
    **_about(FactorResetTable, "request", {ENDED: _set(ended_at=LEAF_TIME)}, makes=False),
    **_about(InvitationTable, "invitation", {
        invitations.CREATED: _all(_INVITATION, _set(created_at=LEAF_TIME, ended_at=None, outcome=None)),
        invitations.RENEWED: _INVITATION,
        invitations.WITHDRAWN: _ended_invitation("withdrawn"),
        invitations.ACCEPTED: _ended_invitation("accepted"),
    }),
    **_about(SessionTable, "session", {
        "session.opened": _all(_same("token_sha256", user_id="user"), _set(created_at=LEAF_TIME)),
    }),
    **_about(SessionTable, "session", {"session.closed": _set(ended_at=LEAF_TIME)}, makes=False),
    **_about(ApiTokenTable, "token", {
        "token.created": _all(_same("token_sha256", "name"), _set(revoked_at=None, created_at=LEAF_TIME)),
        "token.revoked": _set(revoked_at=LEAF_TIME),
    }),
    **_about(RecipientTable, "recipient", {
        "recipient.added": _all(_same("address"), _set(until=None, since=LEAF_TIME)),
        "recipient.removed": _set(until=LEAF_TIME),
    }),
    **_about(AnnouncementTable, "announcement", {"announcement.created": _ANNOUNCEMENT}),
    **_about(LineTable, "line", {
        "line.created": _all(
            _LINE,
            _digits,
            _set(until=None, since=LEAF_TIME, **{KEEPS: None, DELETES: None}),
        ),
        "line.changed": _LINE,
        "line.ended": _set(until=LEAF_TIME),
        suspension.LINE_SUSPENDED: _set(),
        suspension.LINE_RESUMED: _set(),
        line_proposals.PROPOSED: _set(),
        line_proposals.DROPPED: _set(),
    }),
    **_about(SubjectRequestTable, "request", {
        rules.RECEIVED: _all(
            _same("wants", "received_on", "due_on", "language", entered_kind="by"),
            _or_none(entered_by="actor"),
            _number,
            lambda body: {"recording_id": body.get("recording")},
            _set(
                entered_at=LEAF_TIME, extended_at=None, extension_reason=None, vouched_at=None,
                vouched_by=None, vouched_statement=None, verified_at=None, verified_how=None,
                verified_by=None, verified_statement=None, closed_at=None, closed_how=None,
                exported_at=None,
            ),
        ),
        rules.EXTENDED: _all(
            _same("due_on"),
            _digests(extension_reason="reason_sha256"),
            _set(extended_at=LEAF_TIME),
        ),
        rules.VOUCHED: _vouched,
        rules.PROVED: _all(
            _same(verified_how="how"),
            _or_none(verified_by="actor"),
            _set(verified_at=LEAF_TIME),
        ),
        rules.CLOSED: _all(_same(closed_how="how"), _set(closed_at=LEAF_TIME)),
        rules.EXPORTED: _set(exported_at=LEAF_TIME),
    }),
    **{kind: each for use in USES for kind, each in _verification_calls(use).items()},
    **_about(ReviewTable, _review, {
        reviews.LOOKED_AT: _all(
            _same(request_id="request", recording_id="recording"),
            _set(
                given=None, withheld_reason=None, decided_at=None, decided_by=None, exported_at=None,
                erased_at=None, kept_reason=None, kept_until=None,
            ),
        ),
        reviews.REVIEWED: _all(
            _same("given"),
            _or_none(withheld_reason="reason", decided_by="actor"),
            _set(decided_at=LEAF_TIME),
        ),
        reviews.EXPORTED: _set(exported_at=LEAF_TIME),
        reviews.ERASED: _set(erased_at=LEAF_TIME, kept_reason=None, kept_until=None),
        reviews.KEPT: _all(_or_none(kept_reason="reason"), _times(kept_until="until"), _set(erased_at=None)),
    }),
    **_about(RecordingTable, "recording", {
        "recording.stored": _same("manifest_sha256", "announced", "import_sha256"),
        "recording.rebuilt": _same("manifest_sha256"),
        "recording.erased": _all(_same(erasure_reason="reason"), _set(erased_at=ANY_VALUE)),
    }),
    **_about(AmendmentTable, _amendment, {"recording.amended": _same("number", "sha256", "kind")}),
    **_about(NotRecordedTable, "recording", {
        "call.not_recorded": _all(
            _same("reason", "number", "direction", "node", "external_kind", "external_value", line_id="line"),
            _times(started_at="started_at", ended_at="ended_at", quarantined_until="quarantined_until"),
            _set(listed_at=LEAF_TIME),
        ),
    }),
    **_about(LiveCommandTable, "command", {
        "command.requested": _all(
            _same("action", call_id="call", by_kind="by", by_id="actor"),
            _set(requested_at=LEAF_TIME),
        ),
    }),
    **_about(LiveCommandTable, "command", {
        "command.answered": _all(_same("action", "outcome", call_id="call"), _set(answered_at=LEAF_TIME)),
    }, makes=False),
    **_about(GrantTable, "grant", {
        "grant.given": _all(
            _same("purpose", "manifest_sha256", user_id="user", recording_id="recording"),
            lambda body: {"session_id": ValueOrNone(body["session"] or None)} if "session" in body else {},
            _set(granted_at=LEAF_TIME),
        ),
    }),
    **_about(UsageTable, "usage", {
        "usage.counted": _all(
            _same("day", "part", "time_zone", "calls", "duration_ms", "bytes", "through"),
            _digests(lines="lines_sha256"),
            _times(until="until"),
            _set(counted_at=LEAF_TIME),
        ),
    }),
    **_about(NoteTable, "note", {
        ADDED: _all(
            _same("kind", user_id="user", recording_id="recording"),
            _digests(text="text_sha256"),
            lambda body: {"at_ms": body.get("at_ms")},
            _set(created_at=LEAF_TIME, edited_at=None, deleted_at=None, deleted_by=None),
        ),
        EDITED: _all(_digests(text="text_sha256"), _set(edited_at=LEAF_TIME)),
        DELETED: _all(_same(deleted_by="user"), _set(text="", deleted_at=LEAF_TIME)),
    }),
    **_about(ContactTable, "contact", {
        NAMED: _all(
            _same(user_id="user"),
            _number,
            _contact_name,
            _set(written_at=LEAF_TIME, deleted_at=None, deleted_by=None),
        ),
        CONTACT_DELETED: _all(
            _same(deleted_by="user"),
            _set(number=None, name="", salt=None, deleted_at=LEAF_TIME),
        ),
    }),
    **_about(ExtensionTable, "extension", {
        extensions.ASSIGNED: _all(_same(user_id="user"), _number, _set(since=LEAF_TIME, until=None)),
        extensions.RELEASED: _all(_same(user_id="user"), _set(number=None, salt=None, until=LEAF_TIME)),
    }),
    **_about(ListenTable, "listen", {
        "listen.opened": _all(_same("name", grant_id="grant"), _set(opened_at=LEAF_TIME)),
    }),
    **_about(ListenTable, "listen", {
        "listen.closed": _all(
            _set(listen_report=None),
            _same("sent_bytes", "listen_report"),
            _set(closed_at=LEAF_TIME),
        ),
    }, makes=False),
}  # fmt: skip

LARGE: Final = frozenset({
    RecordingTable, AmendmentTable, NotRecordedTable, AnnouncementTable, SessionTable, GrantTable,
    ListenTable, LiveCommandTable, UsageTable,
})  # fmt: skip
"""Tables that are compared page by page, at each leaf. In the others, the last leaf about a column counts."""

END_COLUMNS: Final[Mapping[type[Table], tuple[str, ...]]] = {
    SessionTable: ("ended_at",), ListenTable: ("closed_at",), LiveCommandTable: ("outcome", "answered_at"),
}  # fmt: skip
"""Large tables: the columns that are NULL until a leaf states the row's end."""

OFFBOARDED: Final = frozenset({"tenant.erasure_started", "tenant.offboarded"})
"""Kinds of leaves after which rows about people may be emptied or deleted, by offboarding."""


def rows_of(model: Any, tenant: str) -> Expression:
    """The condition that a row belongs to a tenant."""
    if model is SessionTable:
        return SessionTable.user.in_(UserTable.select(UserTable.id).where(UserTable.tenant == tenant))
    if model is ReviewTable:
        mine = SubjectRequestTable.select(SubjectRequestTable.id).where(
            SubjectRequestTable.tenant_id == tenant
        )
        return ReviewTable.request.in_(mine)
    return (getattr(model, "tenant", None) or model.tenant_id) == tenant  # type: ignore[no-any-return]


def is_owned(row: Table, tenant: str) -> bool:
    """Whether a row names the tenant, directly or through a row that is compared itself."""
    return isinstance(row, TenantTable) or getattr(row, "tenant_id", tenant) == tenant


_COUNTED = (TenantTable, AmendmentTable)
FULLY_LOGGED: Final[tuple[type[Table], ...]] = (
    PurposeTable,
    *{each.model: None for each in STATEMENTS.values() if each.makes and each.model not in _COUNTED},
)
"""Tables in which every row needs a leaf: those whose rows a leaf makes, but for amendments, whose signed
chain and number are compared. (Nothing creates customers' own purposes yet.)"""


def agrees(row: Table, column: str, stated: Any) -> bool:
    """Whether a row's column agrees with a leaf. A value that Accord never writes does not."""
    try:
        return stated is NO_LONGER_STATED or _agrees(row, column, stated)
    except (ValueError, TypeError, AttributeError):
        return False


def _agrees(row: Table, column: str, stated: Any) -> bool:
    value = _value(row, column)
    if stated is ANY_VALUE:
        return value is not None
    if isinstance(stated, ValueOrNone):
        return _may_be_null(column, stated.value) if value is None else agrees(row, column, stated.value)
    if isinstance(stated, Moment):
        return isinstance(value, datetime) and to_iso(value) == stated.at
    if isinstance(stated, Digest):
        return value is not None and sha256_of(value) == stated.sha256
    if isinstance(stated, Commitment):
        assert isinstance(row, SubjectRequestTable | VerificationCallTable | ContactTable | ExtensionTable)
        salt = row.salt if isinstance(row, ContactTable | ExtensionTable) else row.number_salt
        return commit_text(value, salt) == stated.sha256
    if isinstance(stated, bool):
        return bool(value) == stated and value in (0, 1)
    return bool(value == stated)


def _may_be_null(column: str, stated: Any) -> bool:
    """Whether a column may have become NULL: a grant loses its session when that is deleted."""
    return column != "session_id" or not SessionTable.select().where(SessionTable.id == stated).exists()


def _value(row: Table, column: str) -> Any:
    if isinstance(row, UserTable) and column == LOGIN_SHA256:
        return login_hash(row.login, row.password_hash)
    if isinstance(row, UserTable) and column == PROFILE_SHA256:
        return display_hash(row.password_hash, row.name, row.language)
    if isinstance(row, LineTable) and column in (KEEPS, DELETES):
        return prompts_sha256(LineKeepOptionTable if column == KEEPS else LineDeleteOptionTable, row.id)
    field = {each.column_name: each.name for each in row._meta.sorted_fields}[column]
    return row.__data__[field]
