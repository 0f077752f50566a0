"""The other participants: in the external party's conference, or as third parties.

Markers say who joins and leaves. The switch is first asked whether a participant who joined is external.
Colleagues who are not informed yet are notified like transfer targets (``transfer_notice.py``), one after the
other. External participants are informed by their own call; where that has not been announced the recording
ends, because nobody is recorded without being informed.

==================  ======================================================================
joined              the switch is asked about them
checked             external: informed, or the recording ends. A colleague: informed
                    already, or notified in turn
notified            whoever heard the notice whole is informed; then the next participant
left                the notice was not heard whole; then the next participant
==================  ======================================================================

A third party stays as long as the colleague does; conference participants as long as the external leg is in
the conference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from recorder.call import transfer_consent, transfer_notice
from recorder.call.state import Actions, CallState, Do, JoinedParticipant, Phase, TransferTarget
from recorder.call.transfer_target import inform, is_beside, names, set_participants, set_target
from recorder.call.transitions import end_recording
from recorder.domain.call_events import (
    CallReconciled,
    ConferenceJoined,
    LegChecked,
    Participant,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import ALONE
from recorder.domain.markers import LATER, Marker
from recorder.domain.parties import Party, party_data, party_of


def join_conference(state: CallState, event: ConferenceJoined) -> tuple[CallState, Actions]:
    """The external leg joined a conference."""
    if not _is_recorded(state):
        return state, ()
    return add_participants(
        replace(state, conference=replace(state.conference, name=event.conference)),
        event.participants,
        event.at,
    )


def add_participants(
    state: CallState, participants: Iterable[Participant], at: datetime
) -> tuple[CallState, Actions]:
    """Participants joined the conversation."""
    if not _is_recorded(state) or not (state.conference.name or state.internal.leg):
        return state, ()
    return _add(state, participants, at)


def _is_recorded(state: CallState) -> bool:
    return (state.phase is Phase.ANNOUNCED or state.rings_on) and not state.recording.over


def _add(
    state: CallState, participants: Iterable[Participant], at: datetime, later: bool = False
) -> tuple[CallState, Actions]:
    there = {one.leg for one in state.conference.participants} | {state.internal.leg}
    new = tuple(
        JoinedParticipant(one.leg, _party(state, one), at, one.sounds_heard, later=later)
        for one in participants
        if one.leg and one.leg not in there
    )
    if not new:
        return state, ()
    state, connected = _connect(set_participants(state, (*state.conference.participants, *new)), new[0])
    # While the call can be refused, nobody is notified: they are checked once that is over.
    return state, (*connected, Do.CHECK_PARTICIPANTS) if state.phase is Phase.ANNOUNCED else connected


def _party(state: CallState, one: Participant) -> Party | None:
    # A party who moves from the call into a conference has the conference's number there.
    return (
        state.internal.party
        if one.leg == state.internal.previous_leg and state.internal.party is not None
        else one.party
    )


def _connect(state: CallState, one: JoinedParticipant) -> tuple[CallState, Actions]:
    """The first participant of a call that went straight into a conference is its internal party."""
    if state.internal.connected:
        return state, ()
    party = party_data(one.party)
    state = replace(
        state, internal=replace(state.internal, connected=True, party=one.party or state.internal.party)
    )
    return state, (Marker(one.since, "bridged", {**party, "in": "conference"}),)


def apply_check(state: CallState, event: LegChecked) -> tuple[CallState, Actions]:
    """Apply the switch's answer whether a leg is external."""
    participants = state.conference.participants
    one = next((each for each in participants if each.leg == event.other and not each.checked), None)
    if one is None or not _is_recorded(state):
        state, actions = transfer_notice.apply_check(state, event)
        if not transfer_consent.asks_for_consent(state):
            return state, actions
        state, question = notify_next(state, event.at)
        return state, (*actions, *question)
    known = names(one.leg, one.party)
    one = replace(one, checked=True, external=event.external)
    marker = Marker(one.since, "participant_joined", _data(state, one))
    state = set_participants(state, tuple(one if each.leg == one.leg else each for each in participants))
    if (
        event.external
        and not event.announced
        and state.transfer.informed
        and not known & state.transfer.informed
    ):
        state, notice = transfer_notice.stop(state, event.at, "stopped", call_ends=True)
        state = end_recording(state)
        return state, (marker, *notice, Marker(event.at, "transferred_externally"), Do.STOP)
    script = state.script.transfer_notice
    # An answer to another call's question is no answer to this call's.
    asks = transfer_consent.asks_for_consent(state)
    notified = script is not None and script.sound.path in one.sounds_heard and not asks
    if notified or event.external or not state.transfer.informed or known & state.transfer.informed:
        state = inform(state, known)
    state, notice = notify_next(state, event.at)
    return state, (marker, *notice)


def notify_next(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Notify the next participant who is not informed."""
    script = state.script.transfer_notice
    if state.phase is not Phase.ANNOUNCED or not _is_recorded(state):
        return state, ()
    if script is None or state.transfer.target is not None or state.hold.active:
        return state, ()
    participants = state.conference.participants
    one = next((each for each in participants if _is_uninformed(state, each)), None)
    if one is None:
        return state, ()
    state, interruption = transfer_consent.break_off_others(state, at)
    if transfer_consent.asks_for_consent(state) and any(each.leg == one.leg for each in state.supervisors):
        state, refusal = transfer_consent.refuse_unasked(state, one.leg, at)
        return state, (*interruption, *refusal)
    state = set_participants(
        state, tuple(replace(each, notified=each.notified or each is one) for each in participants)
    )
    state = set_target(state, TransferTarget(one.leg, script.sound.path))
    return transfer_notice.time_notice(state, at, script.sound), (*interruption, Do.NOTIFY)


def _is_uninformed(state: CallState, one: JoinedParticipant) -> bool:
    known = names(one.leg, one.party) & state.transfer.informed
    return one.checked and not (one.external or one.notified or known)


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended for the participant who is being notified."""
    target, script = state.transfer.target, state.script.transfer_notice
    after, actions = transfer_notice.follow_sound(state, event)
    if target is None or script is None or not is_beside(state, target.leg):
        return after, actions
    if any(isinstance(one, Marker) and one.kind == "transfer_notice_finished" for one in actions):
        start = target.started_at or event.at
        for one in state.conference.participants:
            if one.leg == target.leg or (script.how != ALONE and one.checked and one.since <= start):
                after = inform(after, names(one.leg, one.party))
    after, notice = notify_next(after, event.at)
    return after, (*actions, *notice)


def remove_participant(state: CallState, leg: str, at: datetime) -> tuple[CallState, Actions]:
    """A participant left the conversation."""
    one = next((each for each in state.conference.participants if each.leg == leg), None)
    if one is None or not _is_recorded(state):
        return state, ()
    state, left = _remove(state, one, at)
    state, notice = notify_next(state, at)
    return state, (*left, *notice)


def leave_conference(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The external party left the conference, or the colleague beside whom a third party was."""
    actions: Actions = ()
    for one in state.conference.participants if _is_recorded(state) else ():
        state, left = _remove(state, one, at)
        actions = (*actions, *left)
    return replace(
        state,
        conference=replace(state.conference, name="", participants=()),
        internal=replace(state.internal, previous_leg=state.internal.leg or state.internal.previous_leg),
    ), actions


def _remove(
    state: CallState, one: JoinedParticipant, at: datetime, *, later: bool = False
) -> tuple[CallState, Actions]:
    notice: Actions = ()
    if state.transfer.target is not None and state.transfer.target.leg == one.leg:
        state, notice = transfer_notice.stop(state, at, "left")
    # They had joined, whatever the switch would have reported about them.
    joined = () if one.checked else (Marker(one.since, "participant_joined", _data(state, one)),)
    left = Marker(at, "participant_left", _data(state, replace(one, later=later)))
    others = tuple(each for each in state.conference.participants if each.leg != one.leg)
    return set_participants(state, others), (*joined, *notice, left)


def end_hold(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold is over: notify whoever has not heard the notice whole."""
    state, actions = transfer_notice.end_hold(state, at)
    participants = tuple(replace(one, notified=False) for one in state.conference.participants)
    state, notice = notify_next(set_participants(state, participants), at)
    return state, (*actions, *notice)


def reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch reports who takes part."""
    state, actions = transfer_notice.reconcile(state, event)
    if not _is_recorded(state):
        return state, actions
    there = {one.leg for one in (*event.participants, *event.supervisors)}
    for one in state.conference.participants:
        if one.leg not in there:
            state, left = _remove(state, one, event.at, later=True)
            actions = (*actions, *left)
    state = replace(state, conference=replace(state.conference, name=event.conference))
    state, joined = _add(state, event.participants, event.at, later=True)
    state, notice = notify_next(state, event.at)
    return state, (*actions, *joined, *notice)


def restore(state: CallState, markers: Iterable[Marker]) -> CallState:
    """Restore the participants from an earlier daemon's markers."""
    for marker in markers:
        data = marker.data
        leg = data.get("leg", "")
        party = party_of(data)
        if marker.kind == "participant_joined":
            external = data.get("who") == "external"
            one = JoinedParticipant(leg, party, marker.at, checked=True, external=external)
            state = set_participants(state, (*state.conference.participants, one))
            if external or not state.transfer.informed:
                state = inform(state, names(leg, party))
        elif marker.kind == "participant_left":
            state = set_participants(
                state, tuple(one for one in state.conference.participants if one.leg != leg)
            )
        elif (
            marker.kind in ("transfer_notice_finished", "transfer_question_answered")
            and data.get("in") == "conference"
        ):
            present = [each for each in state.conference.participants if each.leg == leg]
            state = inform(state, names(leg, present[0].party if present else None))
    return state


def _data(state: CallState, one: JoinedParticipant) -> dict[str, str]:
    who = {"who": "external" if one.external else "internal"} if one.checked else {}
    how = "conference" if state.conference.name else "third"
    later = LATER if one.later else {}
    return {**party_data(one.party), "leg": one.leg, **who, "how": how, **later}
