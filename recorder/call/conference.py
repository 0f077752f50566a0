"""Who else is in the conversation: in a conference that the outside party is in, or as a third one.

Everybody who comes or goes is in the marks.  First the switch is asked whether somebody who came is outside.
A colleague who does not know yet is told as a joiner is (``transfer_notice.py``), one after the other; who is
outside is told by their own call, and where that has not been announced the take ends: nobody is recorded who
was not told.

=========  =================================================================================
CAME       the switch is asked about them
asked      outside: known, or the take ends.  A colleague: known, or to be told, in their turn
told       whoever heard it whole knows; the next one's turn
WENT       not told whole: untold.  The next one's turn
=========  =================================================================================

A third one is there as long as the colleague is; a room as long as the outside leg is in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.call import transfer_consent, transfer_notice
from recorder.call.state import Actions, CallState, Do, JoinedParticipant, Phase, TransferTarget, WriteMark
from recorder.call.transfer_target import in_room, names
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


def entered(state: CallState, event: ConferenceJoined) -> tuple[CallState, Actions]:
    """The outside leg is in a conference."""
    if not _counts(state):
        return state, ()
    return came(
        replace(state, conference=replace(state.conference, name=event.conference)),
        event.participants,
        event.at,
    )


def came(state: CallState, participants: Iterable[Participant], at: datetime) -> tuple[CallState, Actions]:
    """Somebody came into the conversation."""
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
    state, connected = _connected(
        replace(
            state, conference=replace(state.conference, participants=(*state.conference.participants, *new))
        ),
        new[0],
    )
    return state, (*connected, Do.LOOK_ROUND)


def _party(state: CallState, one: Participant) -> Party | None:
    # Who goes from the call into a room is called by the room's number there.
    return (
        state.internal.party
        if one.leg == state.internal.previous_leg and state.internal.party is not None
        else one.party
    )


def _connected(state: CallState, one: JoinedParticipant) -> tuple[CallState, Actions]:
    """A call that was brought into a room at once: whoever is the first there, it was for."""
    if state.internal.connected:
        return state, ()
    party = party_data(one.party)
    state = replace(
        state, internal=replace(state.internal, connected=True, party=one.party or state.internal.party)
    )
    return state, (WriteMark("bridged", one.since, (*party, ("in", "room"))),)


def looked(state: CallState, event: LegChecked) -> tuple[CallState, Actions]:
    """The switch's word on somebody: whether their leg leads outside."""
    one = next(
        (each for each in state.conference.participants if each.leg == event.other and not each.asked), None
    )
    if one is None or not _counts(state):
        state, actions = transfer_notice.looked(state, event)
        state, asked = turn(state, event.at) if transfer_consent.asks(state) else (state, ())
        return state, (*actions, *asked)
    known = names(one.leg, one.party)
    one = replace(one, asked=True, outside=event.outside)
    came_in = WriteMark("joined_room", one.since, _data(state, one))
    state = replace(
        state,
        conference=replace(
            state.conference,
            participants=tuple(
                one if each.leg == one.leg else each for each in state.conference.participants
            ),
        ),
    )
    if (
        event.outside
        and not event.announced
        and state.transfer.informed
        and not known & state.transfer.informed
    ):
        state, untold = transfer_notice.stopped(state, event.at, "stopped", ending=True)
        state = replace(state, recording=replace(state.recording, over=True))
        return state, (came_in, *untold, WriteMark("transferred_outside", event.at), Do.STOP)
    script = state.script.joining
    # What somebody answered to another call's question is no answer to this one's.
    told = script is not None and script.sound.path in one.heard and not transfer_consent.asks(state)
    if told or event.outside or not state.transfer.informed or known & state.transfer.informed:
        state = replace(state, transfer=replace(state.transfer, informed=state.transfer.informed | known))
    state, telling = turn(state, event.at)
    return state, (came_in, *telling)


def turn(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Tell the next one who does not know."""
    script = state.script.joining
    if script is None or state.transfer.target is not None or state.hold.active or not _counts(state):
        return state, ()
    one = next((each for each in state.conference.participants if _unknowing(state, each)), None)
    if one is None:
        return state, ()
    others = tuple(replace(each, tried=each.tried or each is one) for each in state.conference.participants)
    state, broken = transfer_consent.alone(state, at)
    if transfer_consent.asks(state) and any(each.leg == one.leg for each in state.supervisors):
        state, over = transfer_consent.unasked(state, one.leg, at)
        return state, (*broken, *over)
    state = replace(
        state,
        conference=replace(state.conference, participants=others),
        transfer=replace(state.transfer, target=TransferTarget(one.leg, script.sound.path)),
    )
    return transfer_notice.wait(state, at, script.sound), (*broken, Do.TELL)


def _unknowing(state: CallState, one: JoinedParticipant) -> bool:
    return one.asked and not (one.outside or one.tried or names(one.leg, one.party) & state.transfer.informed)


def sounded(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound began or ended for who is being told."""
    telling, script = state.transfer.target, state.script.joining
    after, actions = transfer_notice.sounded(state, event)
    if telling is None or script is None or not in_room(state, telling.leg):
        return after, actions
    if any(isinstance(one, WriteMark) and one.kind == "joined_told" for one in actions):
        began = telling.began or event.at
        for one in state.conference.participants:
            if one.leg == telling.leg or (script.how != ALONE and one.asked and one.since <= began):
                after = replace(
                    after,
                    transfer=replace(
                        after.transfer, informed=after.transfer.informed | names(one.leg, one.party)
                    ),
                )
    after, more = turn(after, event.at)
    return after, (*actions, *more)


def went(state: CallState, leg: str, at: datetime) -> tuple[CallState, Actions]:
    """Somebody is in the conversation no more."""
    one = next((each for each in state.conference.participants if each.leg == leg), None)
    if one is None or not _counts(state):
        return state, ()
    state, gone = _gone(state, one, at)
    state, telling = turn(state, at)
    return state, (*gone, *telling)


def parted(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The room is left, or the colleague beside whom a third one was."""
    actions: Actions = ()
    for one in state.conference.participants if _counts(state) else ():
        state, gone = _gone(state, one, at)
        actions = (*actions, *gone)
    return replace(
        state,
        conference=replace(state.conference, name="", participants=()),
        internal=replace(state.internal, previous_leg=state.internal.leg or state.internal.previous_leg),
    ), actions


def _gone(
    state: CallState, one: JoinedParticipant, at: datetime, seen: Actions = ()
) -> tuple[CallState, Actions]:
    untold: Actions = ()
    if state.transfer.target is not None and state.transfer.target.leg == one.leg:
        state, untold = transfer_notice.stopped(state, at, "left")
    # They came, whatever the switch would have said of them.
    came_in = () if one.asked else (WriteMark("joined_room", one.since, _data(state, one)),)
    left = WriteMark("left_room", at, _data(state, replace(one, later=bool(seen))))
    others = tuple(each for each in state.conference.participants if each.leg != one.leg)
    return replace(state, conference=replace(state.conference, participants=others)), (
        *came_in,
        *untold,
        left,
    )


def back(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold is over: who was not told whole is told now."""
    state, actions = transfer_notice.back(state, at)
    state = replace(
        state,
        conference=replace(
            state.conference,
            participants=tuple(replace(one, tried=False) for one in state.conference.participants),
        ),
    )
    state, told = turn(state, at)
    return state, (*actions, *told)


def found(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch says who is there."""
    state, actions = transfer_notice.found(state, event)
    if not _counts(state):
        return state, actions
    there = {one.leg for one in (*event.participants, *event.supervisors)}
    for one in state.conference.participants:
        if one.leg not in there:
            state, gone = _gone(state, one, event.at, (Do.LOOK_ROUND,))
            actions = (*actions, *gone)
    state = replace(state, conference=replace(state.conference, name=event.conference))
    state, more = _add(state, event.participants, event.at, later=True)
    state, telling = turn(state, event.at)
    return state, (*actions, *more, *telling)


def remembered(state: CallState, notes: Iterable[WriteMark]) -> CallState:
    """What an earlier daemon wrote down of who was in the conversation."""
    for note in notes:
        said = dict(note.data)
        leg = said.get("leg", "")
        party = party_of(said)
        if note.kind == "joined_room":
            outside = said.get("who") == "outside"
            one = JoinedParticipant(leg, party, note.at, asked=True, outside=outside)
            state = replace(
                state,
                conference=replace(state.conference, participants=(*state.conference.participants, one)),
            )
            if outside or not state.transfer.informed:
                state = replace(
                    state,
                    transfer=replace(state.transfer, informed=state.transfer.informed | names(leg, party)),
                )
        elif note.kind == "left_room":
            state = replace(
                state,
                conference=replace(
                    state.conference,
                    participants=tuple(one for one in state.conference.participants if one.leg != leg),
                ),
            )
        elif note.kind in ("joined_told", "joined_answered") and said.get("in") == "room":
            one_there = [each for each in state.conference.participants if each.leg == leg]
            known = names(leg, one_there[0].party if one_there else None)
            state = replace(state, transfer=replace(state.transfer, informed=state.transfer.informed | known))
    return state


def _data(state: CallState, one: JoinedParticipant) -> tuple[tuple[str, str], ...]:
    who = (("who", "outside" if one.outside else "colleague"),) if one.asked else ()
    how = (("how", "conference" if state.conference.name else "third"),)
    party = party_data(one.party)
    return (*party, ("leg", one.leg), *who, *how, *(LATER if one.later else ()))
