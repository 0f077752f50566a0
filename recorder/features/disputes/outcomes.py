"""An outcome as a dispute's statements have it, and whether an amendment beside a recording has the same."""

from __future__ import annotations

from recorder.domain.roles import OWN_SIDE
from recorder.features.disputes.rules import Dispute, Outcome
from recorder.identity import users
from recorder.seal.amendment_kinds import ACCOUNT, OutcomeAdded, OutcomeConfirmation
from recorder.seal.outcome import NamedPerson, OutcomeContent, OutcomePassage


def is_outcome(data: object, dispute: Dispute) -> bool:
    """Whether an amendment's data is the dispute's outcome: the same text, confirmed by the same people. Its
    content is compared by whoever can decrypt it."""
    outcome = dispute.outcome
    if outcome is None or not isinstance(data, OutcomeAdded):
        return False
    expected = (dispute.id, outcome.sha256, confirmations(dispute, outcome))
    return (data.dispute, data.outcome_sha256, data.confirmations) == expected


def content_of(dispute: Dispute, outcome: Outcome, recording: str) -> OutcomeContent:
    """What an amendment of one of a dispute's recordings has of its outcome, encrypted."""
    return OutcomeContent(
        dispute.subject,
        outcome.statement,
        tuple(NamedPerson(user, name) for user, name in names_of_confirmers(dispute, outcome).items()),
        tuple(
            OutcomePassage(each.begin_ms, each.end_ms, each.text)
            for each in dispute.passages
            if each.recording == recording and dispute.is_agreed((each.author, *each.confirmed_by))
        ),
    )


def names_of_confirmers(dispute: Dispute, outcome: Outcome) -> dict[str, str]:
    """The names of those who confirmed an outcome, by id."""
    guests = {each.id: each.name for each in dispute.guests}
    found = {}
    for user, _at in outcome.confirmations:
        person = users.user(dispute.tenant, user)
        found[user] = guests.get(user) or (person.name if person else "")
    return found


def confirmations(dispute: Dispute, outcome: Outcome) -> tuple[OutcomeConfirmation, ...]:
    """The confirmations of an outcome as they are sealed."""
    guests = {each.id: each for each in dispute.guests}
    found = []
    for user, at in outcome.confirmations:
        guest = guests.get(user)
        how = ACCOUNT if guest is None else str(guest.verified_how)
        side = OWN_SIDE if guest is None else guest.role
        found.append(OutcomeConfirmation(user, side, how, at))
    return tuple(found)
