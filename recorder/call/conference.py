"""The other participants: in the external party's conference, or as third parties.

Marks say who joins and leaves. The switch is first asked whether a participant who joined is external. A
colleague who is not informed yet is notified like a transfer target (``transfer_notice.py``), one after the
other. An external participant is informed by their own call; where that has not been announced the recording
ends, because nobody is recorded who was not informed.

==================  ======================================================================
joined              the switch is asked about them
checked             external: informed, or the recording ends. A colleague: informed
                    already, or notified in turn
notified            whoever heard the notice whole is informed; the next one's turn
left                the notice was not heard whole; the next one's turn
==================  ======================================================================

A third party stays as long as the colleague does; conference participants as long as the external leg is in
the conference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.call import transfer_consent, transfer_notice
from recorder.call.state import Actions, CallState, Do, JoinedParticipant, Phase, TransferTarget, WriteMark
from recorder.call.transfer_target import inform, is_beside, names, set_participants
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
from recorder.domain.parties import Party, party_data, party_of

LATER: Final = (("seen", "later"),)


def join_conference(state: CallState, event: ConferenceJoined) -> tuple[CallState, Actions]:
    """The external leg joined a conference."""
    if not _counts(state):
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
    if not _counts(state) or not (state.conference.name or state.internal.leg):
        return state, ()
    return _add(state, participants, at)


def _counts(state: CallState) -> bool:
    return state.phase is Phase.ANNOUNCED and not state.recording.over


def _add(
    state: CallState, participants: Iterable[Participant], at: datetime, later: bool = False
) -> tuple[CallState, Actions]:
    there = {one.leg for one in state.conference.participants} | {state.internal.leg}
    new = tuple(
        JoinedParticipant(one.leg, _party(state, one), at, one.heard, later=later)
        for one in participants
        if one.leg and one.leg not in there
    )
    if not new:
        return state, ()
    state, connected = _connect(
        set_participants(state, (*state.conference.participants, *new)),
        new[0],
    )
    return state, (*connected, Do.LOOK_ROUND)


def _party(state: CallState, one: Participant) -> Party | None:
    # A party who moves from the call into a conference has the conference's number there.
    return (
        state.internal.party
        if one.leg == state.internal.previous_leg and state.internal.party is not None
        else one.party
    )


def _connect(state: CallState, one: JoinedParticipant) -> tuple[CallState, Actions]:
    """A call that went straight into a conference was for whoever is the first there."""
    if state.internal.connected:
        return state, ()
    party = party_data(one.party)
    state = replace(
        state, internal=replace(state.internal, connected=True, party=one.party or state.internal.party)
    )
    return state, (WriteMark("bridged", one.since, (*party, ("in", "conference"))),)


def apply_check(state: CallState, event: LegChecked) -> tuple[CallState, Actions]:
    """The switch has said whether a leg is external."""
    one = next(
        (each for each in state.conference.participants if each.leg == event.other and not each.asked), None
    )
    if one is None or not _counts(state):
        state, actions = transfer_notice.apply_check(state, event)
        state, asked = notify_next(state, event.at) if transfer_consent.asks(state) else (state, ())
        return state, (*actions, *asked)
    known = names(one.leg, one.party)
    one = replace(one, asked=True, external=event.external)
    came_in = WriteMark("participant_joined", one.since, _data(state, one))
    state = set_participants(
        state, tuple(one if each.leg == one.leg else each for each in state.conference.participants)
    )
    if (
        event.external
        and not event.announced
        and state.transfer.informed
        and not known & state.transfer.informed
    ):
        state, untold = transfer_notice.stop(state, event.at, "stopped", ending=True)
        state = end_recording(state)
        return state, (came_in, *untold, WriteMark("transferred_outside", event.at), Do.STOP)
    script = state.script.transfer_notice
    # An answer to another call's question is no answer to this call's.
    told = script is not None and script.sound.path in one.heard and not transfer_consent.asks(state)
    if told or event.external or not state.transfer.informed or known & state.transfer.informed:
        state = inform(state, known)
    state, telling = notify_next(state, event.at)
    return state, (came_in, *telling)


def notify_next(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Notify the next participant who is not informed."""
    script = state.script.transfer_notice
    if script is None or state.transfer.target is not None or state.hold.active or not _counts(state):
        return state, ()
    one = next((each for each in state.conference.participants if _unknowing(state, each)), None)
    if one is None:
        return state, ()
    others = tuple(replace(each, tried=each.tried or each is one) for each in state.conference.participants)
    state, broken = transfer_consent.break_off_others(state, at)
    if transfer_consent.asks(state) and any(each.leg == one.leg for each in state.supervisors):
        state, over = transfer_consent.refuse_unasked(state, one.leg, at)
        return state, (*broken, *over)
    state = replace(
        state,
        conference=replace(state.conference, participants=others),
        transfer=replace(state.transfer, target=TransferTarget(one.leg, script.sound.path)),
    )
    return transfer_notice.time_notice(state, at, script.sound), (*broken, Do.TELL)


def _unknowing(state: CallState, one: JoinedParticipant) -> bool:
    return one.asked and not (
        one.external or one.tried or names(one.leg, one.party) & state.transfer.informed
    )


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended for the participant who is being notified."""
    telling, script = state.transfer.target, state.script.transfer_notice
    after, actions = transfer_notice.follow_sound(state, event)
    if telling is None or script is None or not is_beside(state, telling.leg):
        return after, actions
    if any(isinstance(one, WriteMark) and one.kind == "transfer_notice_finished" for one in actions):
        began = telling.began or event.at
        for one in state.conference.participants:
            if one.leg == telling.leg or (script.how != ALONE and one.asked and one.since <= began):
                after = inform(after, names(one.leg, one.party))
    after, more = notify_next(after, event.at)
    return after, (*actions, *more)


def remove_participant(state: CallState, leg: str, at: datetime) -> tuple[CallState, Actions]:
    """A participant left the conversation."""
    one = next((each for each in state.conference.participants if each.leg == leg), None)
    if one is None or not _counts(state):
        return state, ()
    state, gone = _remove(state, one, at)
    state, telling = notify_next(state, at)
    return state, (*gone, *telling)


def leave_conference(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The external party left the conference, or the colleague beside whom a third party was."""
    actions: Actions = ()
    for one in state.conference.participants if _counts(state) else ():
        state, gone = _remove(state, one, at)
        actions = (*actions, *gone)
    return replace(
        state,
        conference=replace(state.conference, name="", participants=()),
        internal=replace(state.internal, previous_leg=state.internal.leg or state.internal.previous_leg),
    ), actions


def _remove(
    state: CallState, one: JoinedParticipant, at: datetime, seen: Actions = ()
) -> tuple[CallState, Actions]:
    untold: Actions = ()
    if state.transfer.target is not None and state.transfer.target.leg == one.leg:
        state, untold = transfer_notice.stop(state, at, "left")
    # They joined, whatever the switch would have said about them.
    came_in = () if one.asked else (WriteMark("participant_joined", one.since, _data(state, one)),)
    left = WriteMark("participant_left", at, _data(state, replace(one, later=bool(seen))))
    others = tuple(each for each in state.conference.participants if each.leg != one.leg)
    return set_participants(state, others), (
        *came_in,
        *untold,
        left,
    )


def end_hold(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold is over: notify whoever has not heard the notice whole."""
    state, actions = transfer_notice.end_hold(state, at)
    state = set_participants(state, tuple(replace(one, tried=False) for one in state.conference.participants))
    state, told = notify_next(state, at)
    return state, (*actions, *told)


def reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch reports who takes part."""
    state, actions = transfer_notice.reconcile(state, event)
    if not _counts(state):
        return state, actions
    there = {one.leg for one in (*event.participants, *event.supervisors)}
    for one in state.conference.participants:
        if one.leg not in there:
            state, gone = _remove(state, one, event.at, (Do.LOOK_ROUND,))
            actions = (*actions, *gone)
    state = replace(state, conference=replace(state.conference, name=event.conference))
    state, more = _add(state, event.participants, event.at, later=True)
    state, telling = notify_next(state, event.at)
    return state, (*actions, *more, *telling)


def restore(state: CallState, notes: Iterable[WriteMark]) -> CallState:
    """Restore the participants from an earlier daemon's marks."""
    for note in notes:
        said = dict(note.data)
        leg = said.get("leg", "")
        party = party_of(said)
        if note.kind == "participant_joined":
            external = said.get("who") == "external"
            one = JoinedParticipant(leg, party, note.at, asked=True, external=external)
            state = set_participants(state, (*state.conference.participants, one))
            if external or not state.transfer.informed:
                state = inform(state, names(leg, party))
        elif note.kind == "participant_left":
            state = set_participants(
                state, tuple(one for one in state.conference.participants if one.leg != leg)
            )
        elif (
            note.kind in ("transfer_notice_finished", "transfer_question_answered")
            and said.get("in") == "conference"
        ):
            one_there = [each for each in state.conference.participants if each.leg == leg]
            known = names(leg, one_there[0].party if one_there else None)
            state = inform(state, known)
    return state


def _data(state: CallState, one: JoinedParticipant) -> tuple[tuple[str, str], ...]:
    who = (("who", "external" if one.external else "internal"),) if one.asked else ()
    how = (("how", "conference" if state.conference.name else "third"),)
    party = party_data(one.party)
    return (*party, ("leg", one.leg), *who, *how, *(LATER if one.later else ()))
