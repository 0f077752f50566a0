"""Somebody who has joined: by what they are known again, and where they are while they are told or asked."""

from __future__ import annotations

from dataclasses import replace

from recorder.call.state import CallState, QuestionStep
from recorder.domain.parties import Party


def names(leg: str, party: Party | None) -> frozenset[str]:
    """By which somebody is known again: their leg, and their number or address."""
    by_party = f"{party.kind}:{party.value}" if party is not None and party.value else ""
    return frozenset(filter(None, (leg and f"leg:{leg}", by_party)))


def in_room(state: CallState, leg: str) -> bool:
    """Whether somebody is beside who is at the other end (``conference.py``)."""
    return any(one.leg == leg for one in state.conference.participants)


def place(state: CallState) -> tuple[tuple[str, str], ...]:
    """What is written down beside what is said to them: of several it is said who."""
    leg = "" if state.transfer.target is None else state.transfer.target.leg
    return (("in", "room"), ("leg", leg)) if in_room(state, leg) else ()


def silent(state: CallState) -> CallState:
    """Nothing is said to them any more, and nothing waited for."""
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
