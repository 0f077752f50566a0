"""What an amendment says, kind by kind: values, and their JSON (``amendment.py`` signs them)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from recorder.domain.roles import ADMIN, ROLES
from recorder.errors import SealError
from recorder.seal import canonical_json
from recorder.strict_json import STRICT, Form, Positive, Sha256, Time, one_of

ERASED = "erased"
HOLD_SET = "hold_set"
HOLD_LIFTED = "hold_lifted"
CONSENT_WITHDRAWN = "consent_withdrawn"
CONSENT_ADDED = "consent_added"
PURPOSES_NARROWED = "purposes_narrowed"
DELETION_REQUESTED = "deletion_requested"

EXPIRED = "expired"
NOT_ANNOUNCED = "not_announced"
SHORTENED = "shortened"
WITHDRAWN = "withdrawn"
NARROWED = "narrowed"
DELETED = "deleted"
ERASURE_REASONS = (EXPIRED, NOT_ANNOUNCED, SHORTENED, WITHDRAWN, NARROWED, DELETED)
"""Why a recording was erased: its day came; its announcement was not found in its sound; its customer keeps
recordings for a shorter time since; consent was withdrawn; its purposes were narrowed to none; its customer
had it deleted."""


def _read_day(text: object) -> date:
    day = date.fromisoformat(text) if isinstance(text, str) else None
    if day is None or day.isoformat() != text:
        raise ValueError("not a day as 2026-11-25")
    return day


def _check_some(codes: tuple[str, ...]) -> tuple[str, ...]:
    if not codes or len(set(codes)) != len(codes):
        raise ValueError("not one or more, each once")
    return codes


Day = Annotated[date, BeforeValidator(_read_day), PlainSerializer(date.isoformat, when_used="json")]
Some = Annotated[tuple[str, ...], AfterValidator(_check_some)]
"""One or more codes, each once."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that was deleted with every version."""

    __pydantic_config__ = STRICT

    name: str
    stored_sha256: Sha256
    stored_length: Positive


@dataclass(frozen=True, slots=True)
class Erased:
    """``key_id`` is the id of the destroyed data key; ``remains`` names what still lies with the
    recording, beside this amendment."""

    __pydantic_config__ = STRICT

    reason: Annotated[str, one_of(ERASURE_REASONS)]
    key_id: Annotated[str, Field(alias="key")]
    objects: tuple[Gone, ...]
    remains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoldSet:
    """``owner`` is a user's id, or who at the operator's answers for it; ``review_at`` when it is looked at
    again, at the latest; ``roles`` are those that may still listen, for these purposes only."""

    __pydantic_config__ = STRICT

    purposes: Some
    owner: str
    reason: str
    review_at: Time
    roles: tuple[Annotated[str, one_of(ROLES)], ...] = (ADMIN,)


@dataclass(frozen=True, slots=True)
class HoldLifted:
    """``hold`` is the number of the amendment that set it."""

    __pydantic_config__ = STRICT

    hold: Positive
    reason: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """``reason`` is how it was withdrawn, in the words of whoever wrote it down."""

    __pydantic_config__ = STRICT

    purposes: Some
    reason: str


@dataclass(frozen=True, slots=True)
class ConsentAdded:
    """``purpose`` holds until ``until``; ``country`` names the pack whose ceiling was looked at, ``reason``
    how it was agreed, ``on`` the customer's day of that where it was said."""

    __pydantic_config__ = STRICT

    purpose: str
    until: Time
    country: str
    reason: str
    on: Annotated[Day | None, Field(exclude_if=lambda day: day is None)] = None


@dataclass(frozen=True, slots=True)
class PurposesNarrowed:
    """``purposes`` are those that end."""

    __pydantic_config__ = STRICT

    purposes: Some
    reason: str


@dataclass(frozen=True, slots=True)
class DeletionRequested:
    """Nothing of it is to be kept."""

    __pydantic_config__ = STRICT

    reason: str


Data = Erased | HoldSet | HoldLifted | ConsentWithdrawn | ConsentAdded | PurposesNarrowed | DeletionRequested
KINDS: dict[type[Data], str] = {
    Erased: ERASED,
    HoldSet: HOLD_SET,
    HoldLifted: HOLD_LIFTED,
    ConsentWithdrawn: CONSENT_WITHDRAWN,
    ConsentAdded: CONSENT_ADDED,
    PurposesNarrowed: PURPOSES_NARROWED,
    DeletionRequested: DELETION_REQUESTED,
}


FORMS: Final[dict[str, Form[Any]]] = {kind: Form(each) for each, kind in KINDS.items()}


def data_body(data: Data) -> dict[str, Any]:
    """An amendment's data as JSON: in its body, and in the catalogue."""
    return FORMS[KINDS[type(data)]].write(data)


def read_data(kind: str, data: object, where: str = "amendment.body.data") -> Data:
    """The data of a kind; ``where`` is its path in errors.  Raises :class:`SealError` (``seal.field``,
    ``seal.unknown_field``; ``amendment.kind`` for a kind that this version does not know)."""
    if kind not in FORMS:
        raise SealError(
            "amendment.kind",
            f"{kind!r} is no kind of amendment that this Accord knows",
            "a newer one wrote it",
        )
    read: Data = canonical_json.read(FORMS[kind], data, where)
    return read
