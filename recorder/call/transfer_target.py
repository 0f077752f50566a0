"""A participant who joined: how they are recognised, and where they are while they are notified or asked."""

from __future__ import annotations

from dataclasses import replace

from recorder.call.state import CallState, JoinedParticipant, QuestionStep, TransferTarget
from recorder.domain.parties import Party


def names(leg: str, party: Party | None) -> frozenset[str]:
    """Return the names by which a participant is recognised: their leg, and their number or address."""
    by_party = f"{party.kind}:{party.value}" if party is not None and party.value else ""
    return frozenset(filter(None, (leg and f"leg:{leg}", by_party)))


def is_beside(state: CallState, leg: str) -> bool:
    """Whether the participant is beside the party at the other end (``conference.py``)."""
    return any(one.leg == leg for one in state.conference.participants)


def place_data(state: CallState) -> dict[str, str]:
    """Return the data that a marker needs to say which of several participants it is about."""
    leg = "" if state.transfer.target is None else state.transfer.target.leg
    return {"in": "conference", "leg": leg} if is_beside(state, leg) else {}


def clear_target(state: CallState) -> CallState:
    """Nothing plays to them any more, and nothing is awaited from them."""
    ours = (
        state.transfer.target is not None
        and state.transfer.target.sound
        and state.question.step is QuestionStep.IDLE
    )
    return replace(
        state,
        transfer=replace(state.transfer, target=None),
        timer=replace(state.timer, deadline=None if ours else state.timer.deadline),
    )


def set_target(state: CallState, target: TransferTarget | None) -> CallState:
    """Check or notify this participant from now on, ``None`` for nobody."""
    return replace(state, transfer=replace(state.transfer, target=target))


def inform(state: CallState, who: frozenset[str]) -> CallState:
    """Count the participants with these names as informed."""
    return replace(state, transfer=replace(state.transfer, informed=state.transfer.informed | who))


def set_participants(state: CallState, participants: tuple[JoinedParticipant, ...]) -> CallState:
    """Replace the other participants."""
    return replace(state, conference=replace(state.conference, participants=participants))
