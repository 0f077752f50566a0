"""The state of a dispute: a pure function of its signed statements, and the rules of what may follow.

The same function admits a new statement and reads the old ones: what it refuses is neither written nor, if
somebody wrote it by other means, believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from typing import Final

from recorder.domain.roles import EXTERNAL_PARTY, OWN_SIDE, SUPPORT, THIRD_PARTIES
from recorder.errors import DisputeError
from recorder.seal import hints
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import ADDRESS, BOTH_SIDES, CODE, PEOPLE, VOUCHED
from recorder.seal.dispute_kinds import (
    ACCEPTED,
    AmendedRecording,
    DisputeClosed,
    DisputeOpened,
    ErasureOrdered,
    GuestAgreed,
    GuestAnswered,
    GuestEnded,
    GuestEntered,
    GuestInvited,
    GuestVerified,
    GuestVouched,
    HeldRecording,
    OrderConfirmed,
    OutcomeConfirmed,
    OutcomeRecorded,
    OutcomeRetracted,
    OutcomeWritten,
    PassageConfirmed,
    PassageLeftOpen,
    PassageMarked,
    PassageWorded,
    Rescheduled,
    TimeChosen,
)
from recorder.seal.dispute_statement import DisputeStatement
from recorder.seal.outcome import outcome_sha256
from recorder.verified_state import VerifiedState

MOST_GUESTS: Final = 5
"""Guests of one dispute, those who no longer take part included."""

MOST_RECORDINGS: Final = 10

MOST_PASSAGES: Final = 50

TIME_TO_THINK: Final = timedelta(hours=24)
"""How long an outcome that both sides confirmed can still be changed: people sleep on it."""

MOST_STATEMENTS: Final = 500
"""Statements of one dispute: more than people write, and few enough to be read at each request."""

WAIT_AFTER: Final = timedelta(days=31)
"""How long an erasure waits at most after the day by which a dispute is to be settled: a person who needs the
recording for longer can ask for it, and is answered within a month."""

VOUCHERS: Final = 2
"""People of the customer who vouch for a guest, where no call with a code is made."""


@dataclass(frozen=True, slots=True)
class Guest(VerifiedState):
    """A person who was invited: their invitation as it is now, their answer, and whether it was established
    that they are the person who was recorded (``verified_how``). ``vouchers`` are the ids of the users who
    vouch for them, ``answered_from`` the address to which the link went that they accepted with.

    Somebody who was not in the call is to hear ``passages``, and may once the other side has agreed to the
    same ones (``agreement``). ``entered`` are the ids of the provider's support people who came in.
    ``time`` is the one that they chose of the proposed ``times``, ``erasure_waits_until`` the last day up to
    which an erasure waits because they take part."""

    id: str
    role: str
    name: str
    language: str
    number: str | None
    address: str | None
    times: tuple[datetime, ...]
    token_sha256: str | None
    code_hash: str | None
    until: datetime
    invited_at: datetime
    invited_by: By
    passages: tuple[str, ...] = ()
    answer: str | None = None
    answered_at: datetime | None = None
    answered_from: str | None = None
    time: datetime | None = None
    vouchers: tuple[str, ...] = ()
    verified_how: str | None = None
    verified_at: datetime | None = None
    agreement: str | None = None
    entered: tuple[str, ...] = ()
    erasure_waits_until: datetime | None = None
    ended_how: str | None = None
    ended_at: datetime | None = None

    @property
    def is_third_party(self) -> bool:
        """Whether they were not in the call."""
        return self.role in THIRD_PARTIES

    @property
    def takes_part(self) -> bool:
        """Whether they accepted, and neither left nor were taken off. The provider's support does so by
        coming in."""
        accepted = bool(self.entered) if self.role == SUPPORT else self.answer == ACCEPTED
        return accepted and self.ended_at is None

    def check_link(self, at: datetime) -> None:
        """Raises :class:`DisputeError` (``dispute.link_expired``) if the invitation has expired at a time.
        Whoever takes part comes back with the link for as long as the dispute is open."""
        if at >= self.until and not self.takes_part:
            raise DisputeError("dispute.link_expired", "the invitation has expired", "send it again")

    def check_unverified(self) -> None:
        """Raises :class:`DisputeError` (``dispute.verified``)."""
        if self.verified_how is not None:
            raise DisputeError(
                "dispute.verified", f"{self.name} has proved their identity", "no further proof is needed"
            )

    @property
    def is_admitted(self) -> bool:
        """Whether the other side lets somebody hear passages who was not in the call."""
        return self.is_third_party and self.agreement == ACCEPTED and self.ended_at is None

    @property
    def may_hear(self) -> bool:
        """Whether they may hear the dispute's recordings, or their passages, while it is open."""
        known = self.is_admitted if self.is_third_party else self.verified_how is not None
        return self.takes_part and known


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a recording, in milliseconds of audio, and its description: by ``author``, and confirmed
    as it is by ``confirmed_by`` (users' ids). ``is_open``: somebody leaves it open."""

    id: str
    recording: str
    begin_ms: int
    end_ms: int
    text: str
    author: str
    confirmed_by: tuple[str, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a dispute, by ``author``, and who confirmed it when. ``agreed_at`` is when both sides
    had; from ``final_at`` on nobody changes it. ``amendments`` are the recordings that it was sealed beside,
    once it was, and ``page_sha256`` the hash of its page's token."""

    statement: OutcomeWritten
    author: str
    confirmations: tuple[tuple[str, datetime], ...]
    agreed_at: datetime | None = None
    amendments: tuple[AmendedRecording, ...] = ()
    page_sha256: str | None = None

    @property
    def sha256(self) -> str:
        """What was confirmed."""
        return outcome_sha256(self.statement)

    @property
    def final_at(self) -> datetime | None:
        return None if self.agreed_at is None else self.agreed_at + TIME_TO_THINK


@dataclass(frozen=True, slots=True)
class AuthorityOrder:
    """An authority's order to erase the recordings: the statement's ``number``, and the ``people`` who have
    seen it: who entered it, and who confirmed it (a user's id, or the kind of an author without one)."""

    number: int
    at: datetime
    authority: str
    reference: str
    people: tuple[str, ...]

    @property
    def is_confirmed(self) -> bool:
        """Whether a second person has seen it."""
        return len(self.people) > 1


@dataclass(frozen=True, slots=True)
class Dispute(VerifiedState):
    """A dispute as its statements say. ``settle_by`` is a day in the customer's time zone."""

    id: str
    tenant: str
    opened_at: datetime
    opened_by: By
    recordings: tuple[HeldRecording, ...]
    purposes: tuple[str, ...]
    subject: str
    settle_by: date
    statements: tuple[DisputeStatement, ...]
    guests: tuple[Guest, ...] = ()
    passages: tuple[Passage, ...] = ()
    outcome: Outcome | None = None
    closed_at: datetime | None = None
    closed_how: str | None = None
    order: AuthorityOrder | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether an authority ordered the erasure, and two people have seen it."""
        return self.order is not None and self.order.is_confirmed

    def side_of(self, user: str) -> str:
        """The side of one of its people: the role of a guest, or :data:`OWN_SIDE` for the customer's."""
        return next((each.role for each in self.guests if user in (each.id, *each.entered)), OWN_SIDE)

    def is_agreed(self, users: Iterable[str]) -> bool:
        """Whether both sides are among some of its people."""
        return {self.side_of(each) for each in users} >= {OWN_SIDE, EXTERNAL_PARTY}

    def basis_of(self, users: Iterable[str]) -> str | None:
        """What rests on the agreement of some of its people: ``both_sides``; or ``vouched`` where the
        customer's people vouch for the other one, which then is the customer's word alone; ``None`` where
        they do not agree."""
        people = set(users)
        if not self.is_agreed(people):
            return None
        known = {each.verified_how for each in self.guests if each.id in people}
        return BOTH_SIDES if CODE in known else VOUCHED

    def would_agree(self, user: str) -> bool:
        """Whether both sides agree on the outcome once one of its people confirms it."""
        if self.closed_at is not None or self.outcome is None:
            return False
        confirmed = [each for each, _at in self.outcome.confirmations]
        return user not in confirmed and self.is_agreed([*confirmed, user])

    @property
    def recording_ids(self) -> tuple[str, ...]:
        return tuple(each.recording for each in self.recordings)

    def check_open(self) -> None:
        """Raises :class:`DisputeError` (``dispute.closed``)."""
        if self.closed_at is not None:
            raise DisputeError("dispute.closed", "the dispute is closed", "open a new dispute to go on")

    def find_guest(self, guest: str) -> Guest:
        """One of its guests. Raises :class:`DisputeError` (``dispute.no_guest``)."""
        found = next((each for each in self.guests if each.id == guest), None)
        if found is None:
            raise DisputeError(
                "dispute.no_guest", f"dispute {self.id} has no guest {guest}", "open the dispute's page again"
            )
        return found

    def find_passage(self, passage: str) -> Passage:
        """One of its passages. Raises :class:`DisputeError` (``dispute.no_passage``)."""
        found = next((each for each in self.passages if each.id == passage), None)
        if found is None:
            raise DisputeError(
                "dispute.no_passage",
                "there is no such passage",
                "reload the page: the passage may have been marked in another dispute",
            )
        return found

    def passages_for(self, guest: Guest, recording: str) -> tuple[tuple[int, int], ...]:
        """Where the passages of a recording begin and end that a guest who was not in the call may hear, in
        milliseconds of audio."""
        own = (each for each in self.passages if each.id in guest.passages and each.recording == recording)
        return tuple(sorted((each.begin_ms, each.end_ms) for each in own))


def replay(statements: Iterable[DisputeStatement]) -> Dispute | None:
    """The state after all statements; ``None`` without any. Raises :class:`DisputeError` as
    :func:`follow`."""
    return reduce(follow, statements, None)


def follow(dispute: Dispute | None, statement: DisputeStatement) -> Dispute:
    """The state after one more statement. Raises :class:`DisputeError` if it may not follow:
    ``dispute.closed``, ``dispute.statements`` (there are too many), and what the functions of each kind
    raise."""
    data = statement.data
    if dispute is None:
        return _open(statement)
    if isinstance(data, ErasureOrdered | OrderConfirmed):  # also after the end: an erasure may still wait
        statements = (*dispute.statements, statement)
        return replace(dispute, statements=statements, order=_order(dispute, data, statement))
    dispute.check_open()
    if len(dispute.statements) >= MOST_STATEMENTS:
        raise DisputeError(
            "dispute.statements",
            f"a dispute has at most {MOST_STATEMENTS} statements",
            "close this one and open another",
        )
    dispute = replace(dispute, statements=(*dispute.statements, statement))
    if isinstance(data, Rescheduled):
        return replace(dispute, settle_by=data.settle_by)
    if isinstance(data, DisputeClosed):
        return replace(dispute, closed_at=statement.at, closed_how=data.how)
    if isinstance(data, DisputeOpened):
        raise DisputeError("dispute.opened", "the dispute was opened before", hints.COMPARE)
    if isinstance(data, GuestInvited):
        return _with_guest(dispute, _invite(dispute, data, statement))
    if isinstance(data, PassageMarked | PassageWorded | PassageConfirmed | PassageLeftOpen):
        return _follow_passage(dispute, data, _member(dispute, statement))
    if isinstance(data, OutcomeData):
        return replace(dispute, outcome=_follow_outcome(dispute, data, statement))
    guest = dispute.find_guest(data.guest)
    if guest.ended_at is not None:
        raise DisputeError("dispute.guest_ended", f"{guest.name} no longer takes part", "invite them again")
    if isinstance(data, GuestAnswered):
        return _with_guest(dispute, _answer(dispute, guest, data, statement))
    if isinstance(data, GuestAgreed):
        return _with_guest(dispute, _agree(dispute, guest, data, statement))
    return _with_guest(dispute, _follow_guest(guest, data, statement))


def _open(statement: DisputeStatement) -> Dispute:
    data = statement.data
    if not isinstance(data, DisputeOpened):
        raise DisputeError(
            "dispute.not_opened", "the first statement does not open the dispute", hints.COMPARE
        )
    return Dispute(
        statement.dispute, statement.tenant, statement.at, statement.by, data.recordings, data.purposes,
        data.subject, data.settle_by, (statement,),
    )  # fmt: skip


def _invite(dispute: Dispute, data: GuestInvited, statement: DisputeStatement) -> Guest:
    """The guest with a new link. Raises ``dispute.too_many``, ``dispute.guest_ended``,
    ``dispute.guest_changed`` (a renewal that names another person), ``dispute.passages_needed`` (for somebody
    who was not in the call), ``dispute.no_passage``."""
    before = next((each for each in dispute.guests if each.id == data.guest), None)
    passages = data.passages or ()
    if bool(passages) != (data.role in THIRD_PARTIES) or (data.token_sha256 is None) != (
        data.role == SUPPORT
    ):
        raise DisputeError(
            "dispute.passages_needed",
            "the passages do not fit the guest's role",
            "choose passages for a guest who was not in the call, and none for anybody else",
        )
    for each in passages:
        dispute.find_passage(each)
    if before is None:
        if len(dispute.guests) >= MOST_GUESTS:
            raise DisputeError(
                "dispute.too_many",
                f"a dispute has at most {MOST_GUESTS} guests",
                "end another guest's part first",
            )
        return Guest(
            data.guest, data.role, data.name, data.language, data.number, data.address, data.times,
            data.token_sha256, data.code_hash, data.until, statement.at, statement.by, passages,
        )  # fmt: skip
    if before.ended_at is not None:
        raise DisputeError(
            "dispute.guest_ended", f"{before.name} no longer takes part", "invite them as a new guest"
        )
    if (data.role, data.name, data.number) != (before.role, before.name, before.number):
        raise DisputeError(
            "dispute.guest_changed",
            "a renewed invitation names somebody else",
            "invite the other person as a new guest",
        )
    return replace(
        before, language=data.language, address=data.address, times=data.times, until=data.until,
        token_sha256=data.token_sha256, code_hash=data.code_hash, passages=passages,
        time=before.time if data.times == before.times else None,
        agreement=before.agreement if passages == before.passages else None,
    )  # fmt: skip


def _agree(dispute: Dispute, guest: Guest, data: GuestAgreed, statement: DisputeStatement) -> Guest:
    """The guest after the other side's answer. Raises ``dispute.not_theirs`` (only the person who was
    recorded gives it, and only about somebody who was not in the call), ``dispute.passages_changed`` (other
    passages were named meanwhile)."""
    if dispute.side_of(_member(dispute, statement)) != EXTERNAL_PARTY or not guest.is_third_party:
        raise DisputeError(
            "dispute.not_theirs",
            "only the person who was recorded can agree to that",
            "the person who was recorded agrees on their own page",
        )
    if data.passages != guest.passages:
        raise DisputeError(
            "dispute.passages_changed",
            "the passages have changed meanwhile",
            "reload the page and answer again",
        )
    return replace(guest, agreement=data.answer)


def _order(
    dispute: Dispute, data: ErasureOrdered | OrderConfirmed, statement: DisputeStatement
) -> AuthorityOrder:
    """An authority's order after a statement about it. Raises ``dispute.not_theirs`` (a guest's),
    ``dispute.order_entered`` (there is one), ``dispute.no_order``, ``dispute.second_person`` (whoever entered
    it confirms it)."""
    who, before = statement.by.id or statement.by.kind, dispute.order
    if dispute.side_of(who) != OWN_SIDE:
        raise DisputeError(
            "dispute.not_theirs",
            "a guest enters no authority's order",
            "the customer or the provider enters it; a guest who wants the recording erased leaves",
        )
    if isinstance(data, ErasureOrdered):
        if before is not None:
            raise DisputeError(
                "dispute.order_entered", "an order has been entered", "confirm the order there is"
            )
        return AuthorityOrder(statement.number, statement.at, data.authority, data.reference, (who,))
    if before is None or before.number != data.order:
        raise DisputeError("dispute.no_order", "there is no such order", "enter it first")
    if who in before.people:
        raise DisputeError(
            "dispute.second_person",
            "whoever entered the order does not confirm it",
            "a second admin confirms it, or the provider: `accord hold confirm-order`",
        )
    return replace(before, people=(*before.people, who))


def _answer(dispute: Dispute, guest: Guest, data: GuestAnswered, statement: DisputeStatement) -> Guest:
    """The guest after their answer. Raises ``dispute.not_theirs`` (a guest answers for themselves),
    ``dispute.link_expired``, ``dispute.answered``, ``dispute.last_day`` (another one than is fixed by the
    rules)."""
    at = statement.at
    if statement.by.id != guest.id:
        raise DisputeError(
            "dispute.not_theirs",
            "only the guest can answer the invitation",
            "the guest answers on the page of their invitation",
        )
    guest.check_link(at)
    if guest.answer == ACCEPTED:
        raise DisputeError("dispute.answered", "the invitation was accepted before", "nothing more is needed")
    if data.erasure_waits_until != erasure_waits_until(dispute, guest, data.answer, at):
        raise DisputeError(
            "dispute.last_day",
            "the day up to which an erasure waits is another one",
            "reload the page and answer again",
        )
    return replace(
        guest, answer=data.answer, answered_at=at, answered_from=guest.address,
        erasure_waits_until=data.erasure_waits_until,
    )  # fmt: skip


def erasure_waits_until(dispute: Dispute, guest: Guest, answer: str, at: datetime) -> datetime | None:
    """The last day up to which the erasure of a dispute's recordings waits once the person who was recorded
    takes part; ``None`` for anybody else, for a no, and after an authority's order."""
    if answer != ACCEPTED or guest.role != EXTERNAL_PARTY or dispute.is_ordered:
        return None
    day = max(dispute.settle_by, at.date())
    return datetime.combine(day, time(), UTC) + WAIT_AFTER


GuestData = TimeChosen | GuestVouched | GuestVerified | GuestEntered | GuestEnded


def _follow_guest(guest: Guest, data: GuestData, statement: DisputeStatement) -> Guest:
    """The guest after a statement about them. Raises ``dispute.not_theirs``, ``dispute.not_agreed``,
    ``dispute.vouched``, ``dispute.verified``, ``dispute.unverified``, ``dispute.no_time`` (the customer did
    not propose it)."""
    at, who = statement.at, statement.by.id
    if isinstance(data, GuestEnded):
        return replace(guest, ended_how=data.how, ended_at=at)
    if isinstance(data, TimeChosen):
        if who != guest.id or not guest.takes_part:
            raise DisputeError(
                "dispute.not_theirs",
                "only a guest who takes part chooses a time",
                "the guest chooses on the page of their invitation",
            )
        if data.time not in guest.times:
            raise DisputeError(
                "dispute.no_time", "this time was not proposed", "choose one of the times shown"
            )
        return replace(guest, time=data.time)
    if isinstance(data, GuestEntered):
        if guest.role != SUPPORT or who is None or guest.agreement != ACCEPTED:
            raise DisputeError(
                "dispute.not_agreed",
                "the two sides have not agreed to support taking part",
                "both sides agree on the dispute's page first",
            )
        return replace(guest, entered=tuple(dict.fromkeys([*guest.entered, who])))
    if guest.is_third_party:
        raise DisputeError(
            "dispute.not_theirs",
            f"{guest.name} was not in the call",
            "only a person who was in the call can prove it",
        )
    guest.check_unverified()
    if isinstance(data, GuestVouched):
        if who is None or who == guest.id:
            raise DisputeError(
                "dispute.not_theirs",
                "only the customer's users can vouch for a guest",
                "a user of the customer vouches on the dispute's page",
            )
        if who in guest.vouchers:
            raise DisputeError("dispute.vouched", "this user vouched before", "a second user must vouch")
        return replace(guest, vouchers=(*guest.vouchers, who))
    if data.how == PEOPLE and len(guest.vouchers) < VOUCHERS:
        raise DisputeError(
            "dispute.unverified",
            f"fewer than {VOUCHERS} people vouch for {guest.name}",
            "a second user vouches on the dispute's page",
        )
    if data.how == ADDRESS and (guest.answered_from is None or not guest.vouchers):
        raise DisputeError(
            "dispute.unverified",
            f"{guest.name} did not accept by a mailed link that somebody vouches for",
            "send the invitation to an address that was named in the call, or call the number with a code",
        )
    return replace(guest, verified_how=data.how, verified_at=at)


def _member(dispute: Dispute, statement: DisputeStatement) -> str:
    """The author of a statement, who must be one of the customer's people, or the person who was recorded and
    may hear it. Raises ``dispute.not_theirs``."""
    who = statement.by.id
    guest = next((each for each in dispute.guests if who in (each.id, *each.entered)), None)
    if who is None or (guest is not None and (guest.is_third_party or not guest.may_hear)):
        raise DisputeError(
            "dispute.not_theirs",
            "only the two sides can make a statement about the call",
            "log in as one of the customer's users who handles the call, or as the person who was recorded",
        )
    return who


PassageData = PassageMarked | PassageWorded | PassageConfirmed | PassageLeftOpen


def _follow_passage(dispute: Dispute, data: PassageData, who: str) -> Dispute:
    """The dispute after a statement about a passage. Raises ``dispute.passages`` (there are too many),
    ``dispute.passage`` (it is none of a recording's), ``dispute.no_passage``, ``dispute.text_changed`` (other
    words were confirmed than those there are)."""
    if isinstance(data, PassageMarked):
        known = data.passage in {each.id for each in dispute.passages}
        if known or data.recording not in dispute.recording_ids or data.begin_ms >= data.end_ms:
            raise DisputeError(
                "dispute.passage",
                "the passage is not part of the dispute's recordings",
                "mark it again while the recording plays",
            )
        if len(dispute.passages) >= MOST_PASSAGES:
            raise DisputeError(
                "dispute.passages",
                f"a dispute has at most {MOST_PASSAGES} passages",
                "use the passages there are",
            )
        passage = Passage(data.passage, data.recording, data.begin_ms, data.end_ms, data.text, who)
        return replace(dispute, passages=(*dispute.passages, passage))
    before = dispute.find_passage(data.passage)
    if isinstance(data, PassageWorded):
        passage = replace(before, text=data.text, author=who, confirmed_by=(), is_open=False)
    elif isinstance(data, PassageLeftOpen):
        passage = replace(before, confirmed_by=(), is_open=True)
    else:
        if data.text_sha256 != text_sha256(before.text):
            raise DisputeError(
                "dispute.text_changed",
                "the passage's text has changed meanwhile",
                "reload the page and read the new text before confirming it",
            )
        confirmed_by = tuple(dict.fromkeys([*before.confirmed_by, who]))
        passage = replace(before, confirmed_by=confirmed_by, is_open=False)
    return replace(
        dispute, passages=tuple(passage if each.id == passage.id else each for each in dispute.passages)
    )


OutcomeData = OutcomeWritten | OutcomeConfirmed | OutcomeRetracted | OutcomeRecorded


def _follow_outcome(dispute: Dispute, data: OutcomeData, statement: DisputeStatement) -> Outcome:
    """The outcome after a statement about it. Raises ``dispute.outcome_final`` (its time to think is over),
    ``dispute.no_outcome``, ``dispute.text_changed``, ``dispute.outcome_open`` (it cannot be recorded yet)."""
    before, at = dispute.outcome, statement.at
    final_at = None if before is None else before.final_at
    if isinstance(data, OutcomeRecorded):
        if before is None or final_at is None or at < final_at:
            raise DisputeError(
                "dispute.outcome_open",
                "both sides can still change the outcome",
                "wait until both sides have agreed and the time to reconsider is over",
            )
        return replace(before, amendments=data.recordings, page_sha256=data.page_sha256)
    if final_at is not None and at >= final_at:
        raise DisputeError(
            "dispute.outcome_final",
            "the outcome can no longer be changed",
            "open a new dispute to agree on something else",
        )
    who = _member(dispute, statement)
    if isinstance(data, OutcomeWritten):
        return Outcome(data, who, ((who, at),))
    if before is None:
        raise DisputeError("dispute.no_outcome", "no outcome has been written", "write the outcome first")
    if isinstance(data, OutcomeRetracted):
        left = tuple(each for each in before.confirmations if each[0] != who)
        still = before.agreed_at if dispute.is_agreed(each for each, _at in left) else None
        return replace(before, confirmations=left, agreed_at=still)
    if data.outcome_sha256 != before.sha256:
        raise DisputeError(
            "dispute.text_changed",
            "the outcome's text has changed meanwhile",
            "reload the page and read the new text before confirming it",
        )
    if who in {each for each, _at in before.confirmations}:
        return before
    confirmations = (*before.confirmations, (who, at))
    is_new = before.agreed_at is None and dispute.is_agreed(each for each, _at in confirmations)
    return replace(before, confirmations=confirmations, agreed_at=at if is_new else before.agreed_at)


def text_sha256(text: str) -> str:
    """What somebody confirms of a text: its SHA-256 (hex)."""
    return hashlib.sha256(text.encode()).hexdigest()


def _with_guest(dispute: Dispute, guest: Guest) -> Dispute:
    others = [each for each in dispute.guests if each.id != guest.id]
    if len(others) == len(dispute.guests):
        return replace(dispute, guests=(*dispute.guests, guest))
    guests = tuple(guest if each.id == guest.id else each for each in dispute.guests)
    return replace(dispute, guests=guests)
