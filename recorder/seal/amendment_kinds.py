"""What an amendment says, kind by kind: values, and their JSON (``amendment.py`` signs them)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from recorder.clock import to_iso
from recorder.domain.roles import ADMIN, ROLES
from recorder.errors import SealError
from recorder.seal.canonical_json import Fields

ERASED = "erased"
HOLD_SET = "hold_set"
HOLD_LIFTED = "hold_lifted"
CONSENT_WITHDRAWN = "consent_withdrawn"
AGREED_LATER = "agreed_later"
PURPOSES_NARROWED = "purposes_narrowed"
DELETION_ASKED = "deletion_asked"

EXPIRED = "expired"
NOT_ANNOUNCED = "not_announced"
SHORTENED = "shortened"
WITHDRAWN = "withdrawn"
NARROWED = "narrowed"
DELETED = "deleted"
WHYS = (EXPIRED, NOT_ANNOUNCED, SHORTENED, WITHDRAWN, NARROWED, DELETED)
"""Why a recording was erased: its day came; its announcement was not found in its sound; its customer keeps
recordings for a shorter time since; consent was withdrawn; its purposes were narrowed to none; its customer
had it deleted."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that was deleted with every version."""

    name: str
    stored_sha256: str
    stored_length: int


@dataclass(frozen=True, slots=True)
class Erased:
    """``key_id`` is the id of the destroyed data key; ``remains`` names what still lies with the
    recording, beside this amendment."""

    why: str
    key_id: str
    objects: tuple[Gone, ...]
    remains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoldSet:
    """``owner`` is a user's id, or who at the operator's answers for it; ``review_at`` when it is looked at
    again, at the latest; ``roles`` are those that may still listen, for these purposes only."""

    purposes: tuple[str, ...]
    owner: str
    reason: str
    review_at: datetime
    roles: tuple[str, ...] = (ADMIN,)


@dataclass(frozen=True, slots=True)
class HoldLifted:
    """``hold`` is the number of the amendment that set it."""

    hold: int
    reason: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """``reason`` is how it was withdrawn, in the words of whoever wrote it down."""

    purposes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class AgreedLater:
    """``purpose`` holds until ``until``; ``country`` names the pack whose ceiling was looked at, ``reason``
    how it was agreed, ``on`` the customer's day of that where it was said."""

    purpose: str
    until: datetime
    country: str
    reason: str
    on: date | None = None


@dataclass(frozen=True, slots=True)
class PurposesNarrowed:
    """``purposes`` are those that end."""

    purposes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class DeletionAsked:
    """Nothing of it is to be kept."""

    reason: str


Data = Erased | HoldSet | HoldLifted | ConsentWithdrawn | AgreedLater | PurposesNarrowed | DeletionAsked
KINDS: dict[type[Data], str] = {
    Erased: ERASED,
    HoldSet: HOLD_SET,
    HoldLifted: HOLD_LIFTED,
    ConsentWithdrawn: CONSENT_WITHDRAWN,
    AgreedLater: AGREED_LATER,
    PurposesNarrowed: PURPOSES_NARROWED,
    DeletionAsked: DELETION_ASKED,
}


def data_body(data: Data) -> dict[str, Any]:
    """An amendment's data as JSON: in its body, and in the catalogue."""
    match data:
        case Erased():
            objects = [
                {"name": o.name, "stored_sha256": o.stored_sha256, "stored_length": o.stored_length}
                for o in data.objects
            ]
            return {"why": data.why, "key": data.key_id, "objects": objects, "remains": list(data.remains)}
        case HoldSet():
            return {
                "purposes": list(data.purposes),
                "owner": data.owner,
                "reason": data.reason,
                "review_at": to_iso(data.review_at),
                "roles": list(data.roles),
            }
        case HoldLifted():
            return {"hold": data.hold, "reason": data.reason}
        case AgreedLater():
            said = {"purpose": data.purpose, "until": to_iso(data.until), "country": data.country}
            on = {} if data.on is None else {"on": data.on.isoformat()}
            return said | {"reason": data.reason} | on
        case ConsentWithdrawn() | PurposesNarrowed():
            return {"purposes": list(data.purposes), "reason": data.reason}
        case DeletionAsked():
            return {"reason": data.reason}


def read_data(kind: str, fields: Fields) -> Data:
    """The data of a kind.  Raises :class:`SealError` (``seal.field``; ``amendment.kind`` for one that this
    version does not know)."""
    if kind not in _READ:
        raise SealError(
            "amendment.kind",
            f"{kind!r} is no kind of amendment that this Accord knows",
            "a newer one wrote it",
        )
    return _READ[kind](fields)


def _erased(fields: Fields) -> Erased:
    return Erased(
        fields.one_of("why", WHYS),
        fields.text("key"),
        tuple(_gone(each) for each in fields.each("objects")),
        fields.texts("remains"),
    )


def _gone(fields: Fields) -> Gone:
    read = Gone(fields.text("name"), fields.sha256("stored_sha256"), fields.whole("stored_length", 1))
    fields.end()
    return read


def _hold_set(fields: Fields) -> HoldSet:
    read = HoldSet(
        _some(fields, "purposes"),
        fields.text("owner"),
        fields.text("reason"),
        fields.time("review_at"),
        fields.texts("roles"),
    )
    if not set(read.roles) <= set(ROLES):
        fields.bad("roles", f"some of {', '.join(ROLES)}")
    return read


def _some(fields: Fields, name: str) -> tuple[str, ...]:
    read = fields.texts(name)
    if not read or len(set(read)) != len(read):
        fields.bad(name, "one or more, each once")
    return read


def _agreed_later(fields: Fields) -> AgreedLater:
    purpose, until, country = fields.text("purpose"), fields.time("until"), fields.text("country")
    return AgreedLater(purpose, until, country, fields.text("reason"), _day(fields, "on"))


def _day(fields: Fields, name: str) -> date | None:
    """A day that need not be said."""
    if not fields.given(name):
        return None
    text = fields.text(name)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        fields.bad(name, "a day")
    return day if day.isoformat() == text else fields.bad(name, "a day as 2026-11-25")


_READ: dict[str, Callable[[Fields], Data]] = {
    ERASED: _erased,
    HOLD_SET: _hold_set,
    HOLD_LIFTED: lambda fields: HoldLifted(fields.whole("hold", 1), fields.text("reason")),
    CONSENT_WITHDRAWN: lambda fields: ConsentWithdrawn(_some(fields, "purposes"), fields.text("reason")),
    AGREED_LATER: _agreed_later,
    PURPOSES_NARROWED: lambda fields: PurposesNarrowed(_some(fields, "purposes"), fields.text("reason")),
    DELETION_ASKED: lambda fields: DeletionAsked(fields.text("reason")),
}
