"""The data of amendments, kind by kind, and its JSON; ``amendment.py`` signs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from recorder.domain.roles import ADMIN, EXTERNAL_PARTY, GUESTS, OWN_SIDE, ROLES, THIRD_PARTIES
from recorder.errors import SealError
from recorder.seal import canonical_json
from recorder.strict_json import Binary, Form, Positive, Sha256, Strict, Time, is_none, one_of

ERASED = "erased"
HOLD_SET = "hold_set"
HOLD_LIFTED = "hold_lifted"
CONSENT_WITHDRAWN = "consent_withdrawn"
CONSENT_ADDED = "consent_added"
PURPOSES_NARROWED = "purposes_narrowed"
DELETION_REQUESTED = "deletion_requested"
OUTCOME_ADDED = "outcome_added"
ERASURE_DEFERRED = "erasure_deferred"
DEFERRAL_ENDED = "deferral_ended"

EXPIRED = "expired"
NOT_ANNOUNCED = "not_announced"
SHORTENED = "shortened"
WITHDRAWN = "withdrawn"
NARROWED = "narrowed"
DELETED = "deleted"
ERASURE_REASONS = (EXPIRED, NOT_ANNOUNCED, SHORTENED, WITHDRAWN, NARROWED, DELETED)
"""Why a recording was erased: it expired; its announcement was not found in the audio; a retention limit
shortened it; consent was withdrawn; its purposes were narrowed to none; its customer deleted it."""


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
"""One or more codes without repetition."""


@dataclass(frozen=True, slots=True)
class ErasedObject(Strict):
    """An object that was deleted in every version."""

    name: str
    stored_sha256: Sha256
    stored_length: Positive


@dataclass(frozen=True, slots=True)
class Erased(Strict):
    """The tombstone.  ``key_id`` is the id of the destroyed data key; ``remains`` names the objects that stay
    beside this amendment."""

    reason: Annotated[str, one_of(ERASURE_REASONS)]
    key_id: Annotated[str, Field(alias="key")]
    objects: tuple[ErasedObject, ...]
    remains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoldSet(Strict):
    """A legal hold. ``owner`` is a user's id, or the responsible person at the operator; ``review_at`` is its
    latest review; ``roles`` and the owner may still listen, for these purposes only. ``replaces`` is the
    number of the amendment whose hold this one takes the place of: somebody else handles it now."""

    purposes: Some
    owner: str
    reason: str
    review_at: Time
    roles: tuple[Annotated[str, one_of((*ROLES, *GUESTS, *THIRD_PARTIES))], ...] = (ADMIN,)
    replaces: Annotated[Positive | None, Field(exclude_if=is_none)] = None


@dataclass(frozen=True, slots=True)
class HoldLifted(Strict):
    """The end of a hold; ``hold`` is the number of the amendment that set it."""

    hold: Positive
    reason: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn(Strict):
    """Consent withdrawn; ``reason`` says how, in the words of the person who entered it."""

    purposes: Some
    reason: str


STATED: Final = "stated"
VOUCHED: Final = "vouched"
BOTH_SIDES: Final = "both_sides"
BASES: Final = (STATED, VOUCHED, BOTH_SIDES)
"""What an agreement after the call rests on: the word of the one person who entered it; an outcome whose
other side the customer's people vouch for; or an outcome that both sides confirmed, the person who was
recorded having given a code that was told to the number in the recording. Only the last is agreed by both."""


@dataclass(frozen=True, slots=True)
class ConsentAdded(Strict):
    """Consent given after the call: ``purpose`` holds until ``until``.  ``country`` names the country rules
    whose ceiling applied, ``reason`` says how consent was given, ``on`` the day in the customer's time zone,
    if stated; ``basis`` what it rests on."""

    purpose: str
    until: Time
    country: str
    reason: str
    on: Annotated[Day | None, Field(exclude_if=is_none)] = None
    basis: Annotated[str, one_of(BASES)] = STATED


@dataclass(frozen=True, slots=True)
class PurposesNarrowed(Strict):
    """Purposes that end early."""

    purposes: Some
    reason: str


@dataclass(frozen=True, slots=True)
class DeletionRequested(Strict):
    """The customer's order to delete the recording."""

    reason: str


ACCOUNT: Final = "account"
CODE: Final = "code"
PEOPLE: Final = "people"
ADDRESS: Final = "address"
CONFIRMED_HOW: Final = (ACCOUNT, CODE, PEOPLE, ADDRESS)
"""How it is known who confirmed an outcome: they are logged in as one of the customer's people; or they are
the person who was recorded, recognised by a code that was told to the number in the recording, by two of the
customer's people who vouch for them, or, where the customer has one person alone, by a mailbox whose address
was named in the call, as that person says."""


@dataclass(frozen=True, slots=True)
class OutcomeConfirmation(Strict):
    """Somebody's confirmation of an outcome: the user's id, their side of the call, and how it is known who
    they are."""

    user: str
    side: Annotated[str, one_of((OWN_SIDE, EXTERNAL_PARTY))]
    how: Annotated[str, one_of(CONFIRMED_HOW)]
    at: Time


def _check_sides(found: tuple[OutcomeConfirmation, ...]) -> tuple[OutcomeConfirmation, ...]:
    if {each.side for each in found} != {OWN_SIDE, EXTERNAL_PARTY}:
        raise ValueError("not confirmed by both sides")
    return found


@dataclass(frozen=True, slots=True)
class OutcomeAdded(Strict):
    """What the two sides of a dispute agreed on afterwards. ``outcome_sha256`` is what both confirmed
    (:func:`recorder.seal.outcome.outcome_sha256`); ``content`` has its text, the names and the passages,
    encrypted under the recording's data key, so that they end with the recording."""

    dispute: str
    outcome_sha256: Sha256
    confirmations: Annotated[tuple[OutcomeConfirmation, ...], AfterValidator(_check_sides)]
    content: Binary

    @property
    def basis(self) -> str:
        """Whether both sides agreed, or the customer's people vouch for the other one."""
        known = {each.how for each in self.confirmations if each.side == EXTERNAL_PARTY}
        return BOTH_SIDES if CODE in known else VOUCHED


@dataclass(frozen=True, slots=True)
class ErasureDeferred(Strict):
    """The person who was recorded takes part in a dispute about the recording: whatever one side asks for,
    it is not erased before the dispute's outcome is sealed, and at most until ``until``. Its guests may hear
    it for these purposes meanwhile."""

    dispute: str
    until: Time
    purposes: Some


GUEST_LEFT: Final = "guest_left"
ORDERED: Final = "ordered"


@dataclass(frozen=True, slots=True)
class DeferralEnded(Strict):
    """The end of a deferral before its last day; ``deferral`` is the number of the amendment that set it.
    ``how``: the person who was recorded left the dispute, or an authority ordered the erasure. ``people``
    are the ids of those who said so: that person, or the two who entered and confirmed the order."""

    deferral: Positive
    how: Annotated[str, one_of((GUEST_LEFT, ORDERED))]
    people: Some


Data = (
    Erased
    | HoldSet
    | HoldLifted
    | ConsentWithdrawn
    | ConsentAdded
    | PurposesNarrowed
    | DeletionRequested
    | OutcomeAdded
    | ErasureDeferred
    | DeferralEnded
)
KINDS: dict[type[Data], str] = {
    Erased: ERASED,
    HoldSet: HOLD_SET,
    HoldLifted: HOLD_LIFTED,
    ConsentWithdrawn: CONSENT_WITHDRAWN,
    ConsentAdded: CONSENT_ADDED,
    PurposesNarrowed: PURPOSES_NARROWED,
    DeletionRequested: DELETION_REQUESTED,
    OutcomeAdded: OUTCOME_ADDED,
    ErasureDeferred: ERASURE_DEFERRED,
    DeferralEnded: DEFERRAL_ENDED,
}


FORMS: Final[dict[str, Form[Any]]] = {kind: Form(each) for each, kind in KINDS.items()}


def ended_hold(data: Data) -> int | None:
    """Return the number of the hold that an amendment ends, by lifting or replacing it."""
    if isinstance(data, HoldLifted):
        return data.hold
    return data.replaces if isinstance(data, HoldSet) else None


def data_body(data: Data) -> dict[str, Any]:
    """Return an amendment's data as JSON, for its body and for the catalogue."""
    return FORMS[KINDS[type(data)]].write(data)


def read_data(kind: str, data: object, where: str = "amendment.body.data") -> Data:
    """Read the data of a kind; ``where`` is its path in errors.  Raises :class:`SealError` (``seal.field``,
    ``seal.unknown_field``; ``amendment.kind`` for an unknown kind)."""
    if kind not in FORMS:
        raise SealError(
            "amendment.kind",
            f"{kind!r} is no kind of amendment that this Accord knows",
            "read it with the version of Accord that wrote it, or a newer one",
        )
    read: Data = canonical_json.read(FORMS[kind], data, where)
    return read
