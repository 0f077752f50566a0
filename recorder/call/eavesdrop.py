"""Supervisors who listen to the conversation (``eavesdrop``): nobody hears them, and nothing is played to
them.

Markers say when they join and leave, and who hears them once they speak. A supervisor whose voice is in the
recording is a third party from then on (``conference.py``), as if they had just joined: notified or asked for
consent as the line says. If they are external and were not informed, the recording ends.

========================  ==================================================================
listens                   a marker, and nothing else
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
from recorder.call.state import Actions, CallState, ListeningSupervisor, Phase
from recorder.domain.call_events import CallReconciled, Participant, SupervisorHeard
from recorder.domain.markers import LATER, Marker
from recorder.domain.parties import party_data, party_of


def add_supervisors(
    state: CallState, supervisors: Iterable[Participant], at: datetime
) -> tuple[CallState, Actions]:
    """Supervisors started to listen."""
    return _add(state, supervisors, at) if _is_recorded(state) else (state, ())


def _is_recorded(state: CallState) -> bool:
    return state.phase < Phase.UNRECORDED and not state.recording.over


def _add(
    state: CallState, supervisors: Iterable[Participant], at: datetime, *, later: bool = False
) -> tuple[CallState, Actions]:
    known = {one.leg for one in state.supervisors}
    new = tuple(
        ListeningSupervisor(one.leg, one.party) for one in supervisors if one.leg and one.leg not in known
    )
    markers = tuple(Marker(at, "supervisor_joined", _data(one, later)) for one in new)
    return replace(state, supervisors=(*state.supervisors, *new)), markers


def change_audience(state: CallState, event: SupervisorHeard) -> tuple[CallState, Actions]:
    """A supervisor is heard, or no longer heard."""
    before = _find(state, event.other)
    if before is None or not _is_recorded(state):
        return state, ()
    one = replace(before, heard_by=event.heard_by, lane=event.lane)
    if one == before:
        return state, ()
    supervisors = tuple(one if each.leg == one.leg else each for each in state.supervisors)
    channel = {"channel": one.lane} if one.lane else {}
    marker = Marker(event.at, "supervisor_heard", {**_data(one), "heard_by": one.heard_by, **channel})
    state = replace(state, supervisors=supervisors)
    third: Actions = ()
    if one.lane and not before.lane:
        state, third = conference.add_participants(state, (Participant(one.leg, one.party),), event.at)
    elif before.lane and not one.lane:
        state, third = conference.remove_participant(state, one.leg, event.at)
    return state, (marker, *third)


def remove_supervisor(state: CallState, leg: str, at: datetime) -> tuple[CallState, Actions]:
    """A supervisor stopped listening."""
    one = _find(state, leg)
    return (state, ()) if one is None or not _is_recorded(state) else _remove(state, one, at)


def _remove(
    state: CallState, one: ListeningSupervisor, at: datetime, *, later: bool = False
) -> tuple[CallState, Actions]:
    state = replace(state, supervisors=tuple(each for each in state.supervisors if each != one))
    state, left = conference.remove_participant(state, one.leg, at)
    return state, (*left, Marker(at, "supervisor_left", _data(one, later)))


def reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch reports who listens; it does not say who hears them."""
    if not _is_recorded(state):
        return state, ()
    there = {one.leg for one in event.supervisors}
    actions: Actions = ()
    for one in state.supervisors:
        if one.leg not in there:
            state, left = _remove(state, one, event.at, later=True)
            actions = (*actions, *left)
    state, joined = _add(state, event.supervisors, event.at, later=True)
    return state, (*actions, *joined)


def restore(state: CallState, markers: Iterable[Marker]) -> CallState:
    """Restore the supervisors from an earlier daemon's markers."""
    for marker in markers:
        data = marker.data
        leg = data.get("leg", "")
        party = party_of(data)
        rest = tuple(each for each in state.supervisors if each.leg != leg)
        if marker.kind in ("supervisor_joined", "supervisor_heard"):
            one = ListeningSupervisor(leg, party, data.get("heard_by", ""), data.get("channel", ""))
            state = replace(state, supervisors=(*rest, one))
        elif marker.kind == "supervisor_left":
            state = replace(state, supervisors=rest)
    return state


def _find(state: CallState, leg: str) -> ListeningSupervisor | None:
    return next((one for one in state.supervisors if one.leg == leg), None)


def _data(one: ListeningSupervisor, later: bool = False) -> dict[str, str]:
    return {**party_data(one.party), "leg": one.leg, **(LATER if later else {})}
