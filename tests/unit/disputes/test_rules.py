"""What may follow what in a dispute."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL, OWN_SIDE, SUPPORT
from recorder.errors import DisputeError
from recorder.features.disputes import outcomes, rules
from recorder.features.disputes.rules import Dispute, follow, replay
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import (
    ACCOUNT,
    ADDRESS,
    BOTH_SIDES,
    CODE,
    PEOPLE,
    VOUCHED,
    DeletionRequested,
    OutcomeAdded,
)
from recorder.seal.dispute_kinds import (
    ACCEPTED,
    DECLINED,
    LEFT,
    SETTLED,
    UNSETTLED,
    WITHDRAWN,
    AmendedRecording,
    DisputeClosed,
    DisputeData,
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
from tests.expected_errors import expect_error

AT = datetime(2026, 11, 29, 9, tzinfo=UTC)
DAY = date(2026, 12, 9)
CLAIRE, PAUL, JAN, MIA = (By("user", each) for each in ("claire", "paul", "jan", "mia"))
OPENED = DisputeOpened((HeldRecording("call", 1),), "The price", DAY, ("agreement",))


def invited(guest: str = "jan", **changes) -> GuestInvited:
    sha256 = hashlib.sha256(guest.encode()).hexdigest()
    usual = GuestInvited(
        guest, EXTERNAL_PARTY, guest.title(), "nl", (), AT + timedelta(days=7), sha256, number="+32470123456"
    )
    return replace(usual, **changes)


LAST_DAY = datetime(2027, 1, 9, tzinfo=UTC)
"""A month after the day by which the dispute is to be settled."""


def answered(
    answer: str = ACCEPTED, guest: str = "jan", waits_until: datetime | None = LAST_DAY
) -> GuestAnswered:
    joins = guest == "jan" and answer == ACCEPTED
    return GuestAnswered(guest, answer, "ab" * 32, "nl", waits_until if joins else None)


Step = tuple[DisputeData, By]


def statement(number: int, step: Step, at: datetime = AT) -> DisputeStatement:
    data, by = step
    return DisputeStatement("tenant", "dispute", number, None, at, by, data)


def after(*steps: Step) -> Dispute:
    found = replay(statement(number, step) for number, step in enumerate([(OPENED, CLAIRE), *steps], 1))
    assert found is not None
    return found


ACCEPTANCE: Sequence[Step] = ((invited(), CLAIRE), (answered(), JAN))
RECOGNISED: Sequence[Step] = (*ACCEPTANCE, (GuestVerified("jan", CODE), JAN))


def refused(before: Dispute | None, step: Step, at: datetime = AT) -> str:
    with pytest.raises(DisputeError) as error:
        follow(before, statement(99, step, at))
    return error.value.error_id


def test_nothing_precedes_the_opening() -> None:
    assert replay([]) is None
    assert refused(None, (invited(), CLAIRE)) == "dispute.not_opened"
    assert refused(after(), (OPENED, CLAIRE)) == "dispute.opened"


def test_an_opened_dispute_has_what_its_statement_says() -> None:
    found = after()
    assert (found.subject, found.settle_by, found.recording_ids) == ("The price", DAY, ("call",))
    assert (found.opened_by, found.closed_at, found.guests) == (CLAIRE, None, ())


def test_a_guest_may_hear_once_accepted_and_recognised() -> None:
    def may(*steps: Step) -> bool:
        (guest,) = after(*steps).guests
        return guest.may_hear

    assert not may((invited(), CLAIRE))
    assert not may(*ACCEPTANCE)
    assert not may((invited(), CLAIRE), (GuestVerified("jan", CODE), JAN))
    assert not may((invited(), CLAIRE), (answered(DECLINED), JAN), (GuestVerified("jan", CODE), JAN))
    assert may(*RECOGNISED)
    assert not may(*RECOGNISED, (GuestEnded("jan", LEFT), JAN))
    assert not may(*RECOGNISED, (GuestEnded("jan", WITHDRAWN), CLAIRE))


def test_two_of_the_customers_people_vouch_each_once() -> None:
    once = after(*ACCEPTANCE, (GuestVouched("jan", "His voice"), CLAIRE))
    assert once.guests[0].vouchers == ("claire",)
    assert refused(once, (GuestVouched("jan", "Again"), CLAIRE)) == "dispute.vouched"
    assert refused(once, (GuestVerified("jan", PEOPLE), CLAIRE)) == "dispute.unverified"
    assert refused(once, (GuestVouched("jan", "It is me"), JAN)) == "dispute.not_theirs"
    twice = after(
        *ACCEPTANCE,
        (GuestVouched("jan", "His voice"), CLAIRE),
        (GuestVouched("jan", "His voice"), PAUL),
        (GuestVerified("jan", PEOPLE), PAUL),
    )
    assert (twice.guests[0].verified_how, twice.guests[0].may_hear) == (PEOPLE, True)
    assert refused(twice, (GuestVouched("jan", "More"), MIA)) == "dispute.verified"
    assert refused(twice, (GuestVerified("jan", CODE), JAN)) == "dispute.verified"


def test_one_voucher_is_enough_for_a_mailbox_by_which_the_guest_accepted() -> None:
    mailed: Sequence[Step] = (
        (invited(address="jan@x.be"), CLAIRE),
        (answered(), JAN),
        (GuestVouched("jan", "At 0:42"), CLAIRE),
    )
    known = after(*mailed, (GuestVerified("jan", ADDRESS), CLAIRE))
    assert known.guests[0].may_hear
    assert known.basis_of(["claire", "jan"]) == VOUCHED
    assert refused(after(*mailed[:2]), (GuestVerified("jan", ADDRESS), CLAIRE)) == "dispute.unverified"
    later = (*ACCEPTANCE, (invited(address="jan@x.be"), CLAIRE), (GuestVouched("jan", "At 0:42"), CLAIRE))
    assert refused(after(*later), (GuestVerified("jan", ADDRESS), CLAIRE)) == "dispute.unverified"


def test_nobody_answers_for_a_guest() -> None:
    invitation = after((invited(), CLAIRE))
    assert refused(invitation, (answered(), CLAIRE)) == "dispute.not_theirs"
    assert refused(invitation, (answered(guest="mia"), MIA)) == "dispute.no_guest"


def test_an_invitation_is_answered_until_it_expires() -> None:
    invitation = after((invited(), CLAIRE))
    until = AT + timedelta(days=7)
    assert refused(invitation, (answered(), JAN), until) == "dispute.link_expired"
    follow(invitation, statement(3, (answered(), JAN), until - timedelta(milliseconds=1)))


@pytest.mark.parametrize("waits_until", [None, LAST_DAY - timedelta(days=1), LAST_DAY + timedelta(days=1)])
def test_the_last_day_follows_from_the_day_of_settlement(waits_until: datetime | None) -> None:
    invitation = after((invited(), CLAIRE))
    assert refused(invitation, (answered(waits_until=waits_until), JAN)) == "dispute.last_day"
    (guest,) = after(*ACCEPTANCE).guests
    assert guest.erasure_waits_until == LAST_DAY


def test_the_last_day_counts_from_today_where_the_day_of_settlement_is_over() -> None:
    late = datetime(2026, 12, 20, 9, tzinfo=UTC)
    renewed = replace(invited(), until=late + timedelta(days=1))
    answer = answered(waits_until=datetime(2027, 1, 20, tzinfo=UTC))
    follow(after((renewed, CLAIRE)), statement(3, (answer, JAN), late))


def test_a_no_can_become_a_yes_and_a_yes_stays() -> None:
    changed = after((invited(), CLAIRE), (answered(DECLINED), JAN), (answered(), JAN))
    assert changed.guests[0].takes_part
    assert refused(changed, (answered(DECLINED), JAN)) == "dispute.answered"


def test_a_renewed_invitation_replaces_the_link_alone() -> None:
    anew = invited(token_sha256="cd" * 32, until=AT + timedelta(days=14), address="jan@example.com")
    found = after(*RECOGNISED, (anew, CLAIRE)).guests
    assert [each.token_sha256 for each in found] == ["cd" * 32]
    assert found[0].may_hear
    assert (found[0].address, found[0].until) == ("jan@example.com", AT + timedelta(days=14))
    for change in ({"number": "+32470999999"}, {"name": "Somebody else"}, {"number": None}):
        assert refused(after(*RECOGNISED), (invited(**change), CLAIRE)) == "dispute.guest_changed"


def test_whoever_no_longer_takes_part_cannot_come_back() -> None:
    ended = after(*RECOGNISED, (GuestEnded("jan", LEFT), JAN))
    for data, by in (
        (answered(), JAN),
        (invited(), CLAIRE),
        (GuestVouched("jan", "His voice"), CLAIRE),
        (GuestEnded("jan", WITHDRAWN), CLAIRE),
    ):
        assert refused(ended, (data, by)) == "dispute.guest_ended"


def test_nothing_follows_the_end() -> None:
    for how in (SETTLED, UNSETTLED):
        closed = after(*RECOGNISED, (DisputeClosed(how), CLAIRE))
        assert (closed.closed_how, closed.closed_at) == (how, AT)
        for data in (Rescheduled(DAY), invited("mia"), DisputeClosed(how), GuestEnded("jan", LEFT)):
            assert refused(closed, (data, CLAIRE)) == "dispute.closed"


def test_the_day_is_the_last_that_was_set() -> None:
    assert after((Rescheduled(date(2027, 1, 2)), CLAIRE)).settle_by == date(2027, 1, 2)


# --- passages

PASSAGE: Step = (PassageMarked("one", "call", 1000, 4000, "The price is 12 euros"), CLAIRE)
SHA256 = rules.text_sha256("The price is 12 euros")
SALT = "0" * 64
LISTENED = (*RECOGNISED, PASSAGE)


def test_a_passage_is_agreed_once_the_other_confirms_its_words() -> None:
    found = after(*LISTENED)
    (passage,) = found.passages
    assert (passage.begin_ms, passage.end_ms, passage.author) == (1000, 4000, "claire")
    assert not found.is_agreed([passage.author, *passage.confirmed_by])
    found = after(*LISTENED, (PassageConfirmed("one", SHA256), JAN))
    (passage,) = found.passages
    assert found.is_agreed([passage.author, *passage.confirmed_by])
    own = after(*LISTENED, (PassageConfirmed("one", SHA256), PAUL))
    assert not own.is_agreed(["claire", *own.passages[0].confirmed_by]), "a colleague is the same side"


def test_other_words_are_confirmed_anew() -> None:
    changed = after(
        *LISTENED,
        (PassageConfirmed("one", SHA256), JAN),
        (PassageWorded("one", "The price is 13 euros"), JAN),
    )
    (passage,) = changed.passages
    assert (passage.text, passage.author, passage.confirmed_by) == ("The price is 13 euros", "jan", ())
    assert refused(changed, (PassageConfirmed("one", SHA256), CLAIRE)) == "dispute.text_changed"


def test_a_passage_is_left_open_until_somebody_says_more() -> None:
    still_open = after(*LISTENED, (PassageConfirmed("one", SHA256), JAN), (PassageLeftOpen("one"), CLAIRE))
    assert (still_open.passages[0].is_open, still_open.passages[0].confirmed_by) == (True, ())
    assert (
        not after(*LISTENED, (PassageLeftOpen("one"), JAN), (PassageWorded("one", "12"), JAN))
        .passages[0]
        .is_open
    )


@pytest.mark.parametrize(
    "passage",
    [
        PassageMarked("two", "another call", 0, 1000, "x"),
        PassageMarked("two", "call", 1000, 1000, "x"),
        PassageMarked("one", "call", 0, 1000, "the same id"),
    ],
)
def test_what_is_no_passage_is_refused(passage: PassageMarked) -> None:
    assert refused(after(*LISTENED), (passage, JAN)) == "dispute.passage"
    assert refused(after(*LISTENED), (PassageLeftOpen("none"), JAN)) == "dispute.no_passage"


def test_only_those_who_listen_say_what_they_heard() -> None:
    accepted = after(*ACCEPTANCE)
    for data in (PASSAGE[0], OutcomeWritten("open", "Nothing", SALT)):
        assert refused(accepted, (data, JAN)) == "dispute.not_theirs"
        assert refused(accepted, (data, By("system"))) == "dispute.not_theirs"


# --- the outcome

OUTCOME = OutcomeWritten("anew", "Jan pays 12,50 euros.", SALT)
TEXT: Step = (OUTCOME, JAN)
OUTCOME_SHA256 = outcome_sha256(OUTCOME)
OTHER = OutcomeWritten("open", "We leave it.", SALT)
AGREED = (*RECOGNISED, TEXT, (OutcomeConfirmed(OUTCOME_SHA256), CLAIRE))
NEXT_DAY = AT + timedelta(hours=24)


def test_an_outcome_is_agreed_by_both_sides() -> None:
    first = after(*RECOGNISED, TEXT).outcome
    assert first is not None
    assert (first.agreed_at, first.final_at) == (None, None)
    agreed = after(*AGREED).outcome
    assert agreed is not None
    assert (agreed.agreed_at, agreed.final_at) == (AT, NEXT_DAY)
    assert agreed.confirmations == (("jan", AT), ("claire", AT))
    again = after(*AGREED, (OutcomeConfirmed(OUTCOME_SHA256), CLAIRE)).outcome
    assert again == agreed


def test_an_outcome_can_be_changed_until_the_next_day() -> None:
    changed = follow(
        after(*AGREED),
        statement(9, (OTHER, CLAIRE), NEXT_DAY - timedelta(seconds=1)),
    )
    assert changed.outcome is not None
    assert (changed.outcome.agreed_at, changed.outcome.statement) == (None, OTHER)
    for data in (OTHER, OutcomeConfirmed(OUTCOME_SHA256), OutcomeRetracted()):
        assert refused(after(*AGREED), (data, CLAIRE), NEXT_DAY) == "dispute.outcome_final"


def test_other_words_than_there_are_cannot_be_confirmed() -> None:
    assert refused(after(*RECOGNISED), (OutcomeConfirmed(OUTCOME_SHA256), CLAIRE)) == "dispute.no_outcome"
    assert refused(after(*RECOGNISED, TEXT), (OutcomeConfirmed(SHA256), CLAIRE)) == "dispute.text_changed"


def test_an_outcome_is_recorded_once_it_is_final() -> None:
    recorded = OutcomeRecorded((AmendedRecording("call", 2),), SHA256)
    assert (
        refused(after(*AGREED), (recorded, By("system")), NEXT_DAY - timedelta(seconds=1))
        == "dispute.outcome_open"
    )
    assert refused(after(*RECOGNISED, TEXT), (recorded, By("system")), NEXT_DAY) == "dispute.outcome_open"
    found = follow(after(*AGREED), statement(9, (recorded, By("system")), NEXT_DAY))
    assert found.outcome is not None
    assert found.outcome.amendments == recorded.recordings


def test_a_confirmation_can_be_taken_back() -> None:
    found = after(*AGREED, (OutcomeRetracted(), JAN)).outcome
    assert found is not None
    assert (found.agreed_at, found.confirmations) == (None, (("claire", AT),))
    again = after(*AGREED, (OutcomeRetracted(), JAN), (OutcomeConfirmed(OUTCOME_SHA256), JAN)).outcome
    assert again is not None
    assert again.agreed_at == AT
    colleague = after(*AGREED, (OutcomeConfirmed(OUTCOME_SHA256), PAUL), (OutcomeRetracted(), CLAIRE)).outcome
    assert colleague is not None
    assert colleague.agreed_at == AT, "a colleague of the same side still agrees"


def test_what_is_confirmed_is_all_of_it() -> None:
    """Another end, another time to keep it, or other words are another outcome."""
    changes = ({"outcome": "open"}, {"keep_days": 365}, {"text": "Jan pays 13 euros."}, {"salt": "1" * 64})
    assert len({outcome_sha256(replace(OUTCOME, **each)) for each in ({}, *changes)}) == 5


# --- somebody who helps

NEUTRAL_PERSON = replace(invited("nora"), role=NEUTRAL, number=None, passages=("one",))
HELPER = GuestInvited("help", SUPPORT, "Support", "nl", (), AT, passages=("one",))
YES = GuestAgreed("nora", ACCEPTED, ("one",))
NORA = By("user", "nora")
SAM = By("user", "sam")


def test_a_neutral_person_hears_once_the_other_side_agrees() -> None:
    before = (*LISTENED, (NEUTRAL_PERSON, CLAIRE), (answered(guest="nora"), NORA))
    found = after(*before).find_guest("nora")
    assert (found.takes_part, found.is_admitted, found.may_hear) == (True, False, False)
    agreed = after(*before, (YES, JAN))
    assert agreed.find_guest("nora").may_hear
    assert agreed.passages_for(agreed.find_guest("nora"), "call") == ((1000, 4000),)
    assert agreed.passages_for(agreed.find_guest("nora"), "another call") == ()
    no = after(*before, (replace(YES, answer=DECLINED), JAN)).find_guest("nora")
    assert not no.may_hear


@pytest.mark.parametrize("who", [CLAIRE, NORA, By("system"), SAM])
def test_only_the_person_who_was_recorded_agrees(who: By) -> None:
    before = after(*LISTENED, (NEUTRAL_PERSON, CLAIRE), (answered(guest="nora"), NORA))
    assert refused(before, (YES, who)) == "dispute.not_theirs"
    assert refused(before, (GuestAgreed("jan", ACCEPTED, ("one",)), JAN)) == "dispute.not_theirs"


def test_other_passages_are_agreed_to_anew() -> None:
    second = (PassageMarked("two", "call", 6000, 7000, "The date"), CLAIRE)
    before = (*LISTENED, second, (NEUTRAL_PERSON, CLAIRE), (answered(guest="nora"), NORA), (YES, JAN))
    wider = after(*before, (replace(NEUTRAL_PERSON, passages=("one", "two")), CLAIRE))
    assert not wider.find_guest("nora").may_hear
    assert refused(wider, (YES, JAN)) == "dispute.passages_changed"
    same = after(*before, (replace(NEUTRAL_PERSON, token_sha256="2" * 64), CLAIRE))
    assert same.find_guest("nora").may_hear, "a new link changes nothing"


def test_support_comes_in_after_the_yes_and_says_why() -> None:
    before = (*LISTENED, (HELPER, CLAIRE))
    enter = GuestEntered("help", "Sam", "They asked me to")
    assert refused(after(*before), (enter, SAM)) == "dispute.not_agreed"
    agreed = (*before, (GuestAgreed("help", ACCEPTED, ("one",)), JAN))
    assert not after(*agreed).find_guest("help").may_hear
    inside = after(*agreed, (enter, SAM), (enter, SAM)).find_guest("help")
    assert (inside.may_hear, inside.entered) == (True, ("sam",))
    assert refused(after(*agreed), (replace(enter, guest="jan"), SAM)) == "dispute.not_agreed"
    ended = after(*agreed, (enter, SAM), (GuestEnded("help", WITHDRAWN), CLAIRE)).find_guest("help")
    assert not ended.may_hear


@pytest.mark.parametrize("who", [NORA, SAM])
def test_who_helps_writes_nothing(who: By) -> None:
    inside = after(
        *LISTENED, (NEUTRAL_PERSON, CLAIRE), (answered(guest="nora"), NORA), (YES, JAN), (HELPER, CLAIRE),
        (GuestAgreed("help", ACCEPTED, ("one",)), JAN), (GuestEntered("help", "Sam", "To help"), SAM), TEXT,
    )  # fmt: skip
    for data in (
        PassageMarked("two", "call", 0, 1000, "x"), PassageConfirmed("one", SHA256), PassageLeftOpen("one"),
        OTHER, OutcomeConfirmed(OUTCOME_SHA256), OutcomeRetracted(),
    ):  # fmt: skip
        assert refused(inside, (data, who)) == "dispute.not_theirs"


@pytest.mark.parametrize(
    "data",
    [
        replace(NEUTRAL_PERSON, passages=None),
        replace(HELPER, passages=None),
        replace(HELPER, token_sha256="0" * 64),
        replace(NEUTRAL_PERSON, token_sha256=None),
        replace(invited("mia"), passages=("one",)),
    ],
)
def test_it_is_said_which_passages_somebody_hears(data: GuestInvited) -> None:
    assert refused(after(*LISTENED), (data, CLAIRE)) == "dispute.passages_needed"
    unknown = replace(NEUTRAL_PERSON, passages=("none",))
    assert refused(after(*LISTENED), (unknown, CLAIRE)) == "dispute.no_passage"


def test_nobody_vouches_for_who_was_not_in_the_call() -> None:
    before = after(*LISTENED, (NEUTRAL_PERSON, CLAIRE), (answered(guest="nora"), NORA))
    for data in (GuestVouched("nora", "I know her"), GuestVerified("nora", CODE)):
        assert refused(before, (data, PAUL)) == "dispute.not_theirs"


def test_there_is_a_largest_number_of_guests_and_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    several = [(invited(f"guest{n}"), CLAIRE) for n in range(rules.MOST_GUESTS)]
    assert refused(after(*several), (invited("one more"), CLAIRE)) == "dispute.too_many"
    monkeypatch.setattr(rules, "MOST_STATEMENTS", 2)
    assert refused(after((Rescheduled(DAY), CLAIRE)), (Rescheduled(DAY), CLAIRE)) == "dispute.statements"


def test_a_guest_is_found_by_id_alone() -> None:
    found = after((invited(), CLAIRE), (invited("mia"), CLAIRE))
    assert [found.find_guest(each).id for each in ("mia", "jan")] == ["mia", "jan"]
    with expect_error(DisputeError, "dispute.no_guest"):
        found.find_guest("claire")


# --- who agrees with whom

MIA_JOINS: Sequence[Step] = ((invited("mia"), CLAIRE),)


def test_what_an_agreement_rests_on() -> None:
    def basis(how: str, *users: str) -> str | None:
        vouched = [(GuestVouched("jan", "His voice"), each) for each in (CLAIRE, PAUL)]
        return after(*ACCEPTANCE, *vouched, (GuestVerified("jan", how), JAN)).basis_of(users)

    assert basis(CODE, "claire", "jan") == BOTH_SIDES
    assert basis(PEOPLE, "claire", "jan") == VOUCHED
    assert basis(CODE, "claire", "paul") is None
    assert basis(CODE, "jan") is None


def test_a_guest_who_did_not_agree_lends_nobody_their_code() -> None:
    vouched = [(GuestVouched("mia", "Her voice"), each) for each in (CLAIRE, PAUL)]
    answer = GuestAnswered("mia", ACCEPTED, "ab" * 32, "nl", LAST_DAY)
    found = after(*RECOGNISED, *MIA_JOINS, (answer, MIA), *vouched, (GuestVerified("mia", PEOPLE), MIA))
    assert found.basis_of(["claire", "mia"]) == VOUCHED
    assert found.basis_of(["claire", "mia", "jan"]) == BOTH_SIDES


def test_it_is_known_whose_confirmation_makes_an_outcome_agreed() -> None:
    def makes(*steps: Step) -> list[str]:
        found = after(*RECOGNISED, *steps)
        return [user for user in ("claire", "paul", "jan") if found.would_agree(user)]

    assert makes() == []
    assert makes(TEXT) == ["claire", "paul"]
    assert makes(TEXT, (OutcomeConfirmed(OUTCOME_SHA256), CLAIRE)) == ["paul"]
    assert makes((OTHER, CLAIRE)) == ["jan"]
    assert makes(TEXT, (DisputeClosed(SETTLED), CLAIRE)) == []


def test_an_amendment_is_the_outcome_by_its_text_and_its_people() -> None:
    found = after(*AGREED)
    assert found.outcome is not None
    data = OutcomeAdded("dispute", OUTCOME_SHA256, outcomes.confirmations(found, found.outcome), b"")
    assert outcomes.is_outcome(data, found)
    for other in (
        replace(data, dispute="another"),
        replace(data, outcome_sha256=outcome_sha256(OTHER)),
        replace(data, confirmations=data.confirmations[:1]),
        DeletionRequested("…"),
        None,
    ):
        assert not outcomes.is_outcome(other, found)
    for still_none in (data, None):
        assert not outcomes.is_outcome(still_none, after(*RECOGNISED))
    assert [(each.user, each.side, each.how) for each in data.confirmations] == [
        ("jan", EXTERNAL_PARTY, CODE),
        ("claire", OWN_SIDE, ACCOUNT),
    ]


def test_a_colleagues_confirmation_neither_makes_nor_moves_an_agreement() -> None:
    colleagues = after(*RECOGNISED, (OTHER, CLAIRE), (OutcomeConfirmed(outcome_sha256(OTHER)), PAUL)).outcome
    assert colleagues is not None
    assert colleagues.agreed_at is None
    later = statement(9, (OutcomeConfirmed(OUTCOME_SHA256), PAUL), AT + timedelta(hours=1))
    agreed = follow(after(*AGREED), later).outcome
    assert agreed is not None
    assert (len(agreed.confirmations), agreed.agreed_at) == (3, AT)


def test_another_text_is_an_outcome_of_its_own() -> None:
    found = after(*AGREED, (OTHER, CLAIRE)).outcome
    assert found is not None
    assert (found.author, found.confirmations, found.agreed_at) == ("claire", (("claire", AT),), None)
    open_again = after(*RECOGNISED, TEXT, (OutcomeRetracted(), JAN)).outcome
    assert open_again is not None
    assert (open_again.statement, open_again.confirmations) == (OUTCOME, ())


# --- an authority's order

ORDERED = ErasureOrdered("A court", "12/34")
ORDER: Step = (ORDERED, CLAIRE)


@pytest.mark.parametrize("second", [PAUL, By("operator")])
def test_an_order_is_seen_by_two_people(second: By) -> None:
    entered = after(*RECOGNISED, ORDER)
    number = len(entered.statements)
    assert entered.order is not None
    assert (entered.order.number, entered.order.authority, entered.order.reference) == (
        number, "A court", "12/34",
    )  # fmt: skip
    assert (entered.order.people, entered.is_ordered) == (("claire",), False)
    confirmed = after(*RECOGNISED, ORDER, (OrderConfirmed(number), second))
    assert confirmed.order is not None
    assert (confirmed.order.people, confirmed.is_ordered) == (("claire", second.id or "operator"), True)
    assert len(confirmed.statements) == number + 1
    for data, who, error_id in (
        (OrderConfirmed(number), CLAIRE, "dispute.second_person"),
        (OrderConfirmed(number + 1), second, "dispute.no_order"),
        (OrderConfirmed(number), JAN, "dispute.not_theirs"),
        (ORDERED, second, "dispute.order_entered"),
    ):
        assert refused(entered, (data, who)) == error_id
    assert refused(after(*RECOGNISED), (OrderConfirmed(1), PAUL)) == "dispute.no_order"
    assert refused(after(*RECOGNISED), (ORDERED, JAN)) == "dispute.not_theirs"
    assert not after().is_ordered


def test_after_an_order_no_erasure_waits_for_who_joins() -> None:
    ordered = ((invited(), CLAIRE), ORDER, (OrderConfirmed(3), PAUL))
    assert refused(after(*ordered), (answered(), JAN)) == "dispute.last_day"
    assert after(*ordered, (answered(waits_until=None), JAN)).guests[0].erasure_waits_until is None
    one_alone = ordered[:2]
    assert after(*one_alone, (answered(), JAN)).guests[0].erasure_waits_until == LAST_DAY


# --- many of each

MANY = pytest.mark.parametrize("at", [0, 1])


@MANY
def test_a_statement_about_a_guest_leaves_the_others(at: int) -> None:
    before = after((invited(), CLAIRE), *MIA_JOINS)
    guest = ("jan", "mia")[at]
    answer = GuestAnswered(guest, DECLINED, "ab" * 32, "nl", None)
    changed = follow(before, statement(4, (answer, By("user", guest))))
    assert [each.id for each in changed.guests] == ["jan", "mia"]
    assert [each.answer for each in changed.guests] == [DECLINED if n == at else None for n in range(2)]
    assert changed.guests[1 - at] == before.guests[1 - at]


@MANY
def test_a_statement_about_a_passage_leaves_the_others(at: int) -> None:
    second = (PassageMarked("two", "call", 6000, 7000, "The date"), CLAIRE)
    before = after(*LISTENED, second)
    changed = follow(before, statement(9, (PassageWorded(("one", "two")[at], "Else"), JAN)))
    assert [each.id for each in changed.passages] == ["one", "two"]
    assert (changed.passages[at].text, changed.passages[1 - at]) == ("Else", before.passages[1 - at])
    assert [before.find_passage(each).text for each in ("one", "two")] == [
        "The price is 12 euros",
        "The date",
    ]


def test_who_confirms_a_passage_twice_is_named_once() -> None:
    twice = after(*LISTENED, *[(PassageConfirmed("one", SHA256), JAN)] * 2)
    assert twice.passages[0].confirmed_by == ("jan",)
    reopened = after(*LISTENED, (PassageLeftOpen("one"), JAN), (PassageConfirmed("one", SHA256), JAN))
    assert not reopened.passages[0].is_open


def test_there_is_a_largest_number_of_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PASSAGES", 2)
    shortest = (PassageMarked("two", "call", 999, 1000, "x"), JAN)
    full = after(*LISTENED, shortest)
    assert refused(full, (PassageMarked("three", "call", 0, 1000, "x"), JAN)) == "dispute.passages"


def test_a_full_dispute_takes_a_renewed_invitation() -> None:
    several = [(invited(f"guest{n}"), CLAIRE) for n in range(rules.MOST_GUESTS)]
    renewed = after(*several, (invited("guest1", token_sha256="cd" * 32), CLAIRE))
    assert [each.token_sha256 == "cd" * 32 for each in renewed.guests] == [
        n == 1 for n in range(rules.MOST_GUESTS)
    ]


def test_support_takes_part_by_coming_in_alone() -> None:
    helper = after(*LISTENED, (HELPER, CLAIRE)).find_guest("help")
    assert not replace(helper, answer=ACCEPTED).takes_part
    assert replace(helper, entered=("sam",)).takes_part
    inside = replace(helper, entered=("sam",), agreement=ACCEPTED)
    assert inside.is_admitted
    assert not replace(inside, agreement=DECLINED).is_admitted
    assert not replace(inside, ended_at=AT).is_admitted
    assert not replace(inside, role=EXTERNAL_PARTY).is_admitted


@pytest.mark.parametrize(("role", "answer"), [(NEUTRAL, ACCEPTED), (EXTERNAL_PARTY, DECLINED)])
def test_an_erasure_waits_for_the_person_who_was_recorded_alone(role: str, answer: str) -> None:
    dispute = after((invited(), CLAIRE))
    guest = replace(dispute.guests[0], role=role)
    assert rules.erasure_waits_until(dispute, guest, answer, AT) is None


def test_guest_who_takes_part_chooses_a_proposed_time() -> None:
    one, other = AT + timedelta(days=1), AT + timedelta(days=2)
    proposed: Sequence[Step] = ((invited(times=(one, other)), CLAIRE), (answered(), JAN))
    assert after(*proposed).guests[0].time is None
    found = after(*proposed, (TimeChosen("jan", one), JAN), (TimeChosen("jan", other), JAN))
    assert found.guests[0].time == other
    assert refused(after(*proposed), (TimeChosen("jan", AT), JAN)) == "dispute.no_time"
    assert refused(after(*proposed), (TimeChosen("jan", one), CLAIRE)) == "dispute.not_theirs"
    assert refused(after(proposed[0]), (TimeChosen("jan", one), JAN)) == "dispute.not_theirs"


@pytest.mark.parametrize(("times", "stays"), [((1, 2), True), ((1,), False)])
def test_chosen_time_ends_with_other_proposals(times: tuple[int, ...], stays: bool) -> None:
    first = tuple(AT + timedelta(days=each) for each in (1, 2))
    again = tuple(AT + timedelta(days=each) for each in times)
    found = after(
        (invited(times=first), CLAIRE),
        (answered(), JAN),
        (TimeChosen("jan", first[0]), JAN),
        (invited(times=again), CLAIRE),
    )
    assert found.guests[0].time == (first[0] if stays else None)
