"""Somebody who has joined: by what they are known again, and where they are while they are told or asked."""

from __future__ import annotations

from dataclasses import replace

from recorder.call.state import CallState, KeepStep
from recorder.domain.parties import Party


def names(leg: str, party: Party | None) -> frozenset[str]:
    """By which somebody is known again: their leg, and their number or address."""
    by_party = f"{party.kind}:{party.value}" if party is not None and party.value else ""
    return frozenset(filter(None, (leg and f"leg:{leg}", by_party)))


def in_room(state: CallState, leg: str) -> bool:
    """Whether somebody is beside who is at the other end (``conference.py``)."""
    return any(one.leg == leg for one in state.others)


def place(state: CallState) -> tuple[tuple[str, str], ...]:
    """What is written down beside what is said to them: of several it is said who."""
    leg = "" if state.telling is None else state.telling.leg
    return (("in", "room"), ("leg", leg)) if in_room(state, leg) else ()


def silent(state: CallState) -> CallState:
    """Nothing is said to them any more, and nothing waited for."""
    ours = state.telling is not None and state.telling.sound and state.asked.step is KeepStep.IDLE
    return replace(state, telling=None, deadline=None if ours else state.deadline)
