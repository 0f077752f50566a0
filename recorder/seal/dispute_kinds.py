"""The data of a dispute's statements, kind by kind, and its JSON; ``dispute_statement.py`` signs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field

from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL, SUPPORT
from recorder.errors import SealError
from recorder.seal import canonical_json
from recorder.seal.amendment_kinds import ADDRESS, CODE, PEOPLE, Day, Some
from recorder.strict_json import Form, Natural, Positive, Sha256, Strict, Time, is_none, one_of

OPENED: Final = "opened"
RESCHEDULED: Final = "rescheduled"
GUEST_INVITED: Final = "guest_invited"
GUEST_ANSWERED: Final = "guest_answered"
TIME_CHOSEN: Final = "time_chosen"
GUEST_VOUCHED: Final = "guest_vouched"
GUEST_VERIFIED: Final = "guest_verified"
GUEST_AGREED: Final = "guest_agreed"
GUEST_ENTERED: Final = "guest_entered"
GUEST_ENDED: Final = "guest_ended"
PASSAGE_MARKED: Final = "passage_marked"
PASSAGE_WORDED: Final = "passage_worded"
PASSAGE_CONFIRMED: Final = "passage_confirmed"
PASSAGE_LEFT_OPEN: Final = "passage_left_open"
OUTCOME_WRITTEN: Final = "outcome_written"
OUTCOME_CONFIRMED: Final = "outcome_confirmed"
OUTCOME_RETRACTED: Final = "outcome_retracted"
OUTCOME_RECORDED: Final = "outcome_recorded"
ERASURE_ORDERED: Final = "erasure_ordered"
ORDER_CONFIRMED: Final = "order_confirmed"
CLOSED: Final = "closed"

ACCEPTED: Final = "accepted"
DECLINED: Final = "declined"
ANSWERS: Final = (ACCEPTED, DECLINED)

VERIFIED_HOW: Final = (CODE, PEOPLE, ADDRESS)
"""How it was established that a guest is the person who was recorded: by a code told on the telephone to the
number in the recording, by two of the customer's people who vouch for the person, or by a mailbox whose
address was named in the call, for which the customer's only person vouches."""

WITHDRAWN: Final = "withdrawn"
LEFT: Final = "left"
ENDED_HOW: Final = (WITHDRAWN, LEFT)
"""Why a guest no longer takes part: the customer withdrew the invitation, or the guest left."""

AS_AGREED: Final = "as_agreed"
ANEW: Final = "anew"
OPEN: Final = "open"
OUTCOMES: Final = (AS_AGREED, ANEW, OPEN)
"""What comes of a dispute: the two sides go on from what was agreed, agree anew, or leave it open."""

BY_TELEPHONE: Final = "telephone"
"""How an outcome is confirmed that was read out."""

SETTLED: Final = "settled"
UNSETTLED: Final = "unsettled"
CLOSED_HOW: Final = (SETTLED, UNSETTLED)
"""How a dispute ends: the two sides go on from what was agreed, or nothing was found together."""


@dataclass(frozen=True, slots=True)
class HeldRecording(Strict):
    """A recording that a dispute is about; ``hold`` is the number of the amendment that put it on legal hold
    for the dispute."""

    recording: str
    hold: Positive


@dataclass(frozen=True, slots=True)
class AmendedRecording(Strict):
    """A recording that the outcome was sealed beside; ``amendment`` is its amendment's number."""

    recording: str
    amendment: Positive


_Recording = TypeVar("_Recording", HeldRecording, AmendedRecording)


def _check_recordings(found: tuple[_Recording, ...]) -> tuple[_Recording, ...]:
    ids = [each.recording for each in found]
    if not ids or len(set(ids)) != len(ids):
        raise ValueError("not one or more recordings, each once")
    return found


@dataclass(frozen=True, slots=True)
class DisputeOpened(Strict):
    """The beginning: the recordings, what the two sides see differently (``subject``, in the customer's
    words), the day by which it is to be settled, and the purposes for which the recordings may be heard."""

    recordings: Annotated[tuple[HeldRecording, ...], AfterValidator(_check_recordings)]
    subject: str
    settle_by: Day
    purposes: Some


@dataclass(frozen=True, slots=True)
class Rescheduled(Strict):
    """Another day by which it is to be settled."""

    settle_by: Day


@dataclass(frozen=True, slots=True)
class GuestInvited(Strict):
    """An invitation, or its renewal: a later one for the same ``guest`` replaces the link, and nothing else.

    ``number`` is that of the external party in the recordings (E.164), ``None`` where it is none; ``address``
    is ``None`` where the link is passed on, and then a code is read out (``code_hash``,
    :func:`recorder.verification_calls.code.hash_code`). ``times`` are those that the customer proposes. The
    link is valid up to ``until``. The provider's support has no link: it comes in by its own queue.

    Somebody who was not in the call is to hear some ``passages`` (their ids), once the other side agrees."""

    guest: str
    role: Annotated[str, one_of((EXTERNAL_PARTY, NEUTRAL, SUPPORT))]
    name: str
    language: str
    times: tuple[Time, ...]
    until: Time
    token_sha256: Annotated[Sha256 | None, Field(exclude_if=is_none)] = None
    passages: Annotated[Some | None, Field(exclude_if=is_none)] = None
    number: Annotated[str | None, Field(exclude_if=is_none)] = None
    address: Annotated[str | None, Field(exclude_if=is_none)] = None
    code_hash: Annotated[str | None, Field(exclude_if=is_none)] = None


@dataclass(frozen=True, slots=True)
class GuestAnswered(Strict):
    """A guest's answer to the invitation; ``notice_sha256`` is the SHA-256 of what they were told, in
    ``language``. One who has declined can accept later, while the link is valid.

    Once the person who was recorded takes part, what one side asks for erases nothing before the outcome, and
    at most until ``erasure_waits_until``, which nobody moves alone."""

    guest: str
    answer: Annotated[str, one_of(ANSWERS)]
    notice_sha256: Sha256
    language: str
    erasure_waits_until: Annotated[Time | None, Field(exclude_if=is_none)] = None


@dataclass(frozen=True, slots=True)
class TimeChosen(Strict):
    """A guest chooses one of the times that the customer proposed; a later choice replaces it."""

    guest: str
    time: Time


@dataclass(frozen=True, slots=True)
class GuestVouched(Strict):
    """One of the customer's people, the author, says how they recognised the guest."""

    guest: str
    reason: str


@dataclass(frozen=True, slots=True)
class GuestVerified(Strict):
    """It was established that the guest is the person who was recorded."""

    guest: str
    how: Annotated[str, one_of(VERIFIED_HOW)]


@dataclass(frozen=True, slots=True)
class GuestAgreed(Strict):
    """The person who was recorded says whether a guest who was not in the call may hear these passages (their
    ids), and no others."""

    guest: str
    answer: Annotated[str, one_of(ANSWERS)]
    passages: Some


@dataclass(frozen=True, slots=True)
class GuestEntered(Strict):
    """One of the provider's support people, the author, comes in to help, and says why."""

    guest: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class GuestEnded(Strict):
    """A guest no longer takes part."""

    guest: str
    how: Annotated[str, one_of(ENDED_HOW)]


@dataclass(frozen=True, slots=True)
class PassageMarked(Strict):
    """Somebody marks a passage of a recording, from ``begin_ms`` to ``end_ms`` of audio, and describes it in
    a sentence; the author agrees with their own words."""

    passage: str
    recording: str
    begin_ms: Natural
    end_ms: Positive
    text: str


@dataclass(frozen=True, slots=True)
class PassageWorded(Strict):
    """Somebody describes a passage differently, which the others may confirm."""

    passage: str
    text: str


@dataclass(frozen=True, slots=True)
class PassageConfirmed(Strict):
    """Somebody confirms a passage's words as they are, by their SHA-256."""

    passage: str
    text_sha256: Sha256


@dataclass(frozen=True, slots=True)
class PassageLeftOpen(Strict):
    """Somebody leaves a passage open: the two hear it differently, and that may be so."""

    passage: str


@dataclass(frozen=True, slots=True)
class OutcomeWritten(Strict):
    """Somebody writes what comes of the dispute; the author agrees with their own words. An earlier text, and
    every confirmation of it, has no effect any more. The recordings are then kept for ``keep_days`` from the
    call, so that it stays clear what was agreed; ``None``: as long as was announced. ``salt`` makes the hash
    one that nobody guesses a text by."""

    outcome: Annotated[str, one_of(OUTCOMES)]
    text: str
    salt: Sha256
    keep_days: Annotated[Positive | None, Field(exclude_if=is_none)] = None


@dataclass(frozen=True, slots=True)
class OutcomeConfirmed(Strict):
    """Somebody confirms the outcome as it is written (:func:`recorder.seal.outcome.outcome_sha256`): on its
    page, or ``how`` else, by a key after it was read out in a ``session`` by telephone."""

    outcome_sha256: Sha256
    how: Annotated[Annotated[str, one_of((BY_TELEPHONE,))] | None, Field(exclude_if=is_none)] = None
    session: Annotated[str | None, Field(exclude_if=is_none)] = None


@dataclass(frozen=True, slots=True)
class OutcomeRetracted(Strict):
    """Somebody no longer agrees with the outcome as it is written."""


@dataclass(frozen=True, slots=True)
class OutcomeRecorded(Strict):
    """The outcome is an amendment of the recordings now: their ids, each with the amendment's number.
    ``page_sha256`` is the hash of the token by which the outcome's page is found."""

    recordings: Annotated[tuple[AmendedRecording, ...], AfterValidator(_check_recordings)]
    page_sha256: Sha256


@dataclass(frozen=True, slots=True)
class ErasureOrdered(Strict):
    """Somebody, the author, enters that an ``authority`` ordered the erasure; ``reference`` is what it calls
    its order. Without a second person nothing follows from it."""

    authority: str
    reference: str


@dataclass(frozen=True, slots=True)
class OrderConfirmed(Strict):
    """A second person, of the customer or of its provider, has seen the order (the number of the statement
    that entered it): an erasure no longer waits for the outcome."""

    order: Positive


@dataclass(frozen=True, slots=True)
class DisputeClosed(Strict):
    """The end; no guest hears anything after it."""

    how: Annotated[str, one_of(CLOSED_HOW)]


DisputeData = (
    DisputeOpened
    | Rescheduled
    | GuestInvited
    | GuestAnswered
    | TimeChosen
    | GuestVouched
    | GuestVerified
    | GuestAgreed
    | GuestEntered
    | GuestEnded
    | PassageMarked
    | PassageWorded
    | PassageConfirmed
    | PassageLeftOpen
    | OutcomeWritten
    | OutcomeConfirmed
    | OutcomeRetracted
    | OutcomeRecorded
    | ErasureOrdered
    | OrderConfirmed
    | DisputeClosed
)

KINDS: Final[dict[type[DisputeData], str]] = {
    DisputeOpened: OPENED,
    Rescheduled: RESCHEDULED,
    GuestInvited: GUEST_INVITED,
    GuestAnswered: GUEST_ANSWERED,
    TimeChosen: TIME_CHOSEN,
    GuestVouched: GUEST_VOUCHED,
    GuestVerified: GUEST_VERIFIED,
    GuestAgreed: GUEST_AGREED,
    GuestEntered: GUEST_ENTERED,
    GuestEnded: GUEST_ENDED,
    PassageMarked: PASSAGE_MARKED,
    PassageWorded: PASSAGE_WORDED,
    PassageConfirmed: PASSAGE_CONFIRMED,
    PassageLeftOpen: PASSAGE_LEFT_OPEN,
    OutcomeWritten: OUTCOME_WRITTEN,
    OutcomeConfirmed: OUTCOME_CONFIRMED,
    OutcomeRetracted: OUTCOME_RETRACTED,
    OutcomeRecorded: OUTCOME_RECORDED,
    ErasureOrdered: ERASURE_ORDERED,
    OrderConfirmed: ORDER_CONFIRMED,
    DisputeClosed: CLOSED,
}

FORMS: Final[dict[str, Form[Any]]] = {kind: Form(each) for each, kind in KINDS.items()}


def data_body(data: DisputeData) -> dict[str, Any]:
    """Return a statement's data as JSON."""
    return FORMS[KINDS[type(data)]].write(data)


def read_data(kind: str, data: object) -> DisputeData:
    """Read the data of a kind. Raises :class:`SealError` (``seal.field``, ``seal.unknown_field``;
    ``dispute.kind`` for an unknown kind)."""
    if kind not in FORMS:
        raise SealError(
            "dispute.kind",
            f"{kind!r} is no kind of statement about a dispute that this Accord knows",
            "read it with the version of Accord that wrote it, or a newer one",
        )
    found: DisputeData = canonical_json.read(FORMS[kind], data, "statement.body.data")
    return found
