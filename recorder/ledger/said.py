"""What leaves say of rows, by their kind: of which table, which row, and what of its columns.

A body says what its Accord wrote into it: of what an older one left away nothing is compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from peewee import Expression

from recorder.catalogue import codes, persons, reviews
from recorder.catalogue.asking import PersonCode, PersonRecording, PersonRequest
from recorder.catalogue.calls import ApiToken
from recorder.catalogue.database import Row
from recorder.catalogue.logged import Recipient
from recorder.catalogue.models import (
    Amendment,
    Announcement,
    Grant,
    Line,
    Listen,
    NotRecorded,
    Purpose,
    Recording,
    Session,
    Tenant,
    User,
)
from recorder.catalogue.people import SIGNS_IN, signs_in
from recorder.clock import from_iso

Body = Mapping[str, Any]
Columns = Callable[[Body], Mapping[str, Any]]

THERE: Final = object()
"""Of a column: something is in it, whatever that is."""

WHATEVER: Final = object()
"""Of a column: what was said of it before counts no more."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Of a column: the SHA-256 (hex) of the text in it."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Committed:
    """Of a request's number: what it is with the row's salt (:func:`persons.committed`)."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Says:
    """What leaves of a kind say of a row: of which table, which one (an id, or ``None`` for a body that does
    not say), and of its columns.  ``makes`` is whether it is enough for such a row to be there."""

    model: type[Row]
    which: Callable[[Body], str | None]
    columns: Columns
    makes: bool = True


def _id(name: str) -> Callable[[Body], str | None]:
    return lambda body: str(body[name]) if name in body else None


def _amendment(body: Body) -> str | None:
    return f"{body['recording']}/{body['number']}"


def _same(*names: str, **others: str) -> Columns:
    """Columns that are called as in the body, or otherwise; those that a body has."""
    called = {name: name for name in names} | others
    return lambda body: {column: body[name] for column, name in called.items() if name in body}


def _digests(**names: str) -> Columns:
    """Columns with text of which a body has the SHA-256."""
    return lambda body: {column: Digest(body[name]) for column, name in names.items() if name in body}


def _set(**columns: Any) -> Columns:
    return lambda _body: columns


def _all(*each: Columns) -> Columns:
    return lambda body: {name: value for some in each for name, value in some(body).items()}


_LINE: Final = _same(
    "number", "label", "timing", "formats", "mode", "others", "outbound", "beep", "deletable", "keep",
    announcement_id="announcement",
)  # fmt: skip


def _announces(body: Body) -> Mapping[str, Any]:
    """What a line says: no further languages, where the body names none."""
    return {"others": []} | dict(_LINE(body))


def _digits(body: Body) -> Mapping[str, Any]:
    return {"digits": str(body["number"]).removeprefix("+")}


def _started(body: Body) -> Mapping[str, Any]:
    return {"started_at": from_iso(body["started_at"])} if "started_at" in body else {}


def _signs_in(body: Body) -> Mapping[str, Any]:
    return {SIGNS_IN: body.get(SIGNS_IN, WHATEVER)}


def _number(body: Body) -> Mapping[str, Any]:
    return {"number": Committed(body["number_sha256"])} if "number_sha256" in body else {}


def _vouched(body: Body) -> Mapping[str, Any]:
    if body["vouch"] == 1:
        said = {"vouched_at": THERE, "vouched_by": body["who"], "vouched_said": Digest(body["how_sha256"])}
        return said
    return {"proved_by": body["who"], "proved_said": Digest(body["how_sha256"])}


def _valid(body: Body) -> Mapping[str, Any]:
    return {"valid_until": from_iso(body["valid_until"])}


def _review(body: Body) -> str:
    return f"{body['request']}/{body['recording']}"


def _reviewed(body: Body) -> Mapping[str, Any]:
    said = {"given": body["given"], "withheld_why": body["why"] or None}
    return said | {"decided_by": body["who"], "decided_at": THERE}


def _not_erased(body: Body) -> Mapping[str, Any]:
    until = from_iso(body["until"]) if body["until"] else None
    return {"erased_at": None, "kept_why": body["why"], "kept_until": until}


_ANNOUNCEMENT: Final = _all(
    _same(
        "version", "mode", "purposes", "keep_days", "language",
        sound_sha256="sound", question_sha256="question", declined_sha256="declined",
    ),
    _digests(text="text_sha256", question_text="question_text_sha256", declined_text="declined_text_sha256"),
)  # fmt: skip

SAID: Final[Mapping[str, Says]] = {
    "tenant.created": Says(
        Tenant, _id("tenant"), _same("name", "country", "language", "languages", "time_zone", "plan")
    ),
    "tenant.changed": Says(Tenant, _id("tenant"), _same("name", "language")),
    "tenant.country_changed": Says(Tenant, _id("tenant"), _same("country")),
    "user.created": Says(User, _id("user"), _all(_same("role"), _set(revoked_at=None), _signs_in)),
    "user.password_changed": Says(User, _id("user"), _signs_in),
    "user.revoked": Says(User, _id("user"), _set(revoked_at=THERE)),
    "session.opened": Says(Session, _id("session"), _same("token_sha256", user_id="user")),
    "session.closed": Says(Session, _id("session"), _set(ended_at=THERE), makes=False),
    "token.created": Says(ApiToken, _id("token"), _all(_same("token_sha256"), _set(revoked_at=None))),
    "token.revoked": Says(ApiToken, _id("token"), _set(revoked_at=THERE)),
    "recipient.added": Says(Recipient, _id("recipient"), _all(_same("address"), _set(until=None))),
    "recipient.removed": Says(Recipient, _id("recipient"), _set(until=THERE)),
    "announcement.created": Says(Announcement, _id("announcement"), _ANNOUNCEMENT),
    "line.created": Says(Line, _id("line"), _all(_announces, _digits, _set(until=None))),
    "line.announcement_changed": Says(Line, _id("line"), _announces),
    "line.mode_changed": Says(Line, _id("line"), _LINE),
    "line.timing_changed": Says(Line, _id("line"), _LINE),
    "line.outbound_changed": Says(Line, _id("line"), _LINE),
    "line.beep_changed": Says(Line, _id("line"), _LINE),
    "line.deletable_changed": Says(Line, _id("line"), _LINE),
    "line.keep_changed": Says(Line, _id("line"), _LINE),
    "line.ended": Says(Line, _id("line"), _set(until=THERE)),
    "person.asked": Says(
        PersonRequest,
        _id("request"),
        _all(
            _same("wants", "language", "received_on", "due_on", entered_kind="by"),
            _number,
            _set(
                extended_at=None,
                vouched_at=None,
                vouched_by=None,
                proved_at=None,
                proved_how=None,
                proved_by=None,
                closed_at=None,
                closed_how=None,
                exported_at=None,
            ),
        ),
    ),
    "person.extended": Says(PersonRequest, _id("request"), _all(_same("due_on"), _set(extended_at=THERE))),
    "person.proved": Says(
        PersonRequest, _id("request"), _all(_same(proved_how="how", proved_by="who"), _set(proved_at=THERE))
    ),
    persons.VOUCHED: Says(PersonRequest, _id("request"), _vouched),
    persons.EXPORTED: Says(PersonRequest, _id("request"), _set(exported_at=THERE)),
    codes.ORDERED: Says(PersonCode, _id("call"), _same(request_id="request")),
    codes.MADE: Says(PersonCode, _id("call"), _valid),
    codes.CALLED: Says(PersonCode, _id("call"), _same("outcome")),
    reviews.LOOKED_AT: Says(
        PersonRecording,
        _review,
        _set(given=None, decided_at=None, exported_at=None, erased_at=None, kept_why=None),
    ),
    reviews.REVIEWED: Says(PersonRecording, _review, _reviewed),
    reviews.EXPORTED: Says(PersonRecording, _review, _set(exported_at=THERE)),
    reviews.ERASED: Says(PersonRecording, _review, _set(erased_at=THERE, kept_why=None)),
    reviews.KEPT: Says(PersonRecording, _review, _not_erased),
    "person.closed": Says(
        PersonRequest, _id("request"), _all(_same(closed_how="how"), _set(closed_at=THERE))
    ),
    "recording.stored": Says(
        Recording, _id("recording"), _same("manifest_sha256", "announced", "brought_in")
    ),
    "recording.rebuilt": Says(Recording, _id("recording"), _same("manifest_sha256")),
    "recording.destroyed": Says(
        Recording, _id("recording"), _all(_same(destroyed_why="why"), _set(destroyed_at=THERE))
    ),
    "recording.amended": Says(Amendment, _amendment, _same("number", "sha256", "kind")),
    "call.not_recorded": Says(NotRecorded, _id("recording"), _all(_same("reason", "number"), _started)),
    "grant.given": Says(Grant, _id("grant"), _same("purpose", user_id="user", recording_id="recording")),
    "listen.opened": Says(Listen, _id("listen"), _same("name", grant_id="grant")),
    "listen.closed": Says(
        Listen,
        _id("listen"),
        _all(_same("sent_bytes", "player_says"), _set(closed_at=THERE)),
        makes=False,
    ),
}

CHANGING: Final = (Tenant, User, Line, ApiToken, Recipient, PersonRequest, PersonCode, PersonRecording)
"""Few rows, which later leaves say something else of: the last one counts."""

LEAVING: Final = frozenset({"tenant.erasing", "tenant.left"})
"""Kinds after which rows about people may be empty, or gone: their customer has left."""

OF_PEOPLE: Final = (ApiToken, Recipient, PersonRequest, PersonCode, PersonRecording)
"""Tables that go with a customer who leaves."""


def rows_of(model: Any, tenant: str) -> Expression:
    """The condition that a row is a tenant's."""
    if model is Session:
        return Session.user.in_(User.select(User.id).where(User.tenant == tenant))
    if model is PersonRecording:
        mine = PersonRequest.select(PersonRequest.id).where(PersonRequest.tenant_id == tenant)
        return PersonRecording.request.in_(mine)
    return (getattr(model, "tenant", None) or model.tenant_id) == tenant  # type: ignore[no-any-return]


COMPLETE: Final = (
    Announcement, Grant, Line, Listen, NotRecorded, Recording, User, Session, ApiToken, Recipient,
    PersonRequest, PersonCode, PersonRecording, Purpose,
)  # fmt: skip
"""Tables in which no row is without a leaf.  Nothing makes a purpose of a customer's own yet."""


def agrees(row: Row, column: str, said: Any) -> bool:
    """Whether a row's column is what a leaf says of it."""
    if said is WHATEVER:
        return True
    value = _value(row, column)
    if said is THERE:
        return value is not None
    if isinstance(said, Committed) and isinstance(row, PersonRequest):
        return persons.committed(row) == said.sha256
    if isinstance(said, Digest):
        return value is not None and hashlib.sha256(value.encode()).hexdigest() == said.sha256
    if isinstance(said, bool):
        return bool(value) == said
    return bool(value == said)


def _value(row: Row, column: str) -> Any:
    if isinstance(row, User) and column == SIGNS_IN:
        return signs_in(row.login, row.password_hash)
    field = {each.column_name: each.name for each in row._meta.sorted_fields}[column]
    return row.__data__[field]
