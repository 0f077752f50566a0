"""Supervisors who listen to the conversation (``eavesdrop``): nobody hears them, and nothing is played to
them.

Marks say when they join and leave, and who hears them once they speak. A supervisor whose voice is in the
recording is a third party from then on (``conference.py``), as if they had just joined: notified or asked as
the line says. If they are external and were not informed, the recording ends.

========================  ==================================================================
listens                   a mark, and nothing else
heard in the recording    a third party joined
no longer heard           the third party left
stops listening           left, also as a third party
========================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from recorder.call import conference
from recorder.call.state import Actions, CallState, ListeningSupervisor, Phase, WriteMark
from recorder.domain.call_events import CallReconciled, Participant, SupervisorHeard
from recorder.domain.parties import party_data, party_of

LATER = conference.LATER


def add_supervisors(
    state: CallState, supervisors: Iterable[Participant], at: datetime
) -> tuple[CallState, Actions]:
    """Supervisors started to listen."""
    return _add(state, supervisors, at) if _counts(state) else (state, ())


def _counts(state: CallState) -> bool:
    return state.phase < Phase.UNRECORDED and not state.recording.over


def _add(
    state: CallState, supervisors: Iterable[Participant], at: datetime, seen: tuple[tuple[str, str], ...] = ()
) -> tuple[CallState, Actions]:
    known = {one.leg for one in state.supervisors}
    new = tuple(
        ListeningSupervisor(one.leg, one.party) for one in supervisors if one.leg and one.leg not in known
    )
    notes = tuple(WriteMark("supervisor_joined", at, (*_who(one), *seen)) for one in new)
    return replace(state, supervisors=(*state.supervisors, *new)), notes


def change_audience(state: CallState, event: SupervisorHeard) -> tuple[CallState, Actions]:
    """A supervisor is heard, or no longer heard."""
    before = _of(state, event.other)
    if before is None or not _counts(state):
        return state, ()
    one = replace(before, heard_by=event.heard_by, lane=event.lane)
    if one == before:
        return state, ()
    listeners = tuple(one if each.leg == one.leg else each for each in state.supervisors)
    lane = (("channel", one.lane),) if one.lane else ()
    note = WriteMark("supervisor_heard", event.at, (*_who(one), ("heard_by", one.heard_by), *lane))
    state = replace(state, supervisors=listeners)
    joined: Actions = ()
    if one.lane and not before.lane:
        state, joined = conference.add_participants(state, (Participant(one.leg, one.party),), event.at)
    elif before.lane and not one.lane:
        state, joined = conference.remove_participant(state, one.leg, event.at)
    return state, (note, *joined)


def remove_supervisor(state: CallState, leg: str, at: datetime) -> tuple[CallState, Actions]:
    """A supervisor stopped listening."""
    one = _of(state, leg)
    return (state, ()) if one is None or not _counts(state) else _remove(state, one, at)


def _remove(
    state: CallState, one: ListeningSupervisor, at: datetime, seen: tuple[tuple[str, str], ...] = ()
) -> tuple[CallState, Actions]:
    state = replace(state, supervisors=tuple(each for each in state.supervisors if each != one))
    state, left = conference.remove_participant(state, one.leg, at)
    return state, (*left, WriteMark("supervisor_left", at, (*_who(one), *seen)))


def reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch reports who listens; it does not say who hears them."""
    if not _counts(state):
        return state, ()
    there = {one.leg for one in event.supervisors}
    actions: Actions = ()
    for one in state.supervisors:
        if one.leg not in there:
            state, left = _remove(state, one, event.at, LATER)
            actions = (*actions, *left)
    state, more = _add(state, event.supervisors, event.at, LATER)
    return state, (*actions, *more)


def restore(state: CallState, notes: Iterable[WriteMark]) -> CallState:
    """Restore the supervisors from an earlier daemon's marks."""
    for note in notes:
        said = dict(note.data)
        leg = said.get("leg", "")
        party = party_of(said)
        rest = tuple(each for each in state.supervisors if each.leg != leg)
        if note.kind in ("supervisor_joined", "supervisor_heard"):
            one = ListeningSupervisor(leg, party, said.get("heard_by", ""), said.get("channel", ""))
            state = replace(state, supervisors=(*rest, one))
        elif note.kind == "supervisor_left":
            state = replace(state, supervisors=rest)
    return state


def _of(state: CallState, leg: str) -> ListeningSupervisor | None:
    return next((one for one in state.supervisors if one.leg == leg), None)


def _who(one: ListeningSupervisor) -> tuple[tuple[str, str], ...]:
    return (*party_data(one.party), ("leg", one.leg))
