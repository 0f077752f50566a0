"""The internal party, and whether they are informed: a colleague who joins later is told that the call is
recorded.

The call was for the first party who speaks with the external one, and whoever heard the announcement is
informed; everybody after them is a transfer target, whether by a transfer, a pick-up or otherwise. The switch
is first asked whether the target is external: then the recording ends, because nobody of ours is in the call
any more. The same holds for the first party: a call that was forwarded outside before anybody of ours spoke
is not recorded, unless both heard an announcement on answer. On a line with a transfer notice the target
hears it, alone or together with the external party. Nobody is notified twice: neither those who were there
before, nor those who return from a hold or from asking somebody else.

========  ===================================  ==========================================================
state     meanwhile                            outcome
========  ===================================  ==========================================================
CHECKED   the switch is asked about them       external: the recording ends. Otherwise, where the line
                                               has a notice: ORDERED
ORDERED   the notice is ordered                it starts: PLAYING. They leave, or a hold: not informed
PLAYING   they hear it                         whole: informed. Cut, they leave, or a hold: not informed
========  ===================================  ==========================================================

A target who did not hear it whole because of a hold hears it once they are back. Where they are asked for
consent, too, ``transfer_consent.py`` decides the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.call import transfer_consent
from recorder.call.state import (
    Actions,
    CallState,
    Do,
    OpenQuestion,
    Phase,
    QuestionStep,
    Timer,
    TransferTarget,
    WriteMark,
)
from recorder.call.transfer_target import clear_target, inform, is_beside, names, place_data, set_target
from recorder.call.transitions import SHORTER, end_recording, patience, set_timer
from recorder.domain.call_events import (
    INTERNAL,
    CallReconciled,
    LegBridged,
    LegChecked,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import Speech
from recorder.domain.parties import party_data, party_of

UNKNOWN: Final = "unknown"
"""The leg of a party whose leg is in no mark."""


def bridged_data(event: LegBridged | CallReconciled) -> tuple[tuple[str, str], ...]:
    """Return the data of the mark for a party who joins; it never includes the displayed name."""
    party = party_data(event.party)
    return (*party, ("leg", event.other)) if event.other else party


def left_data(state: CallState) -> tuple[tuple[str, str], ...]:
    """Return the data of the mark for the party who leaves."""
    return party_data(state.internal.party)


def inform_present(state: CallState) -> CallState:
    """The party at the other end is informed."""
    return inform(state, names(state.internal.leg, state.internal.party))


def mark_replaced(state: CallState, event: LegBridged) -> Actions:
    """Mark that the party before has left where the switch did not report it; it does not always."""
    if not state.internal.leg or state.internal.leg == event.other:
        return ()
    return (WriteMark("unbridged", event.at, left_data(state)),)


def check_target(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A party is at the other end from now on; ``state`` says who."""
    if state.phase is not Phase.ANNOUNCED or state.recording.over:
        return state, ()
    state, before = stop(state, at, "left")
    if state.recording.over:
        return state, before
    who = names(state.internal.leg, state.internal.party)
    first = not state.transfer.informed
    if not state.internal.leg or state.transfer.informed & who:
        return inform(state, who), before
    knowing = who if first else state.transfer.informed
    return replace(
        state, transfer=replace(state.transfer, target=TransferTarget(state.internal.leg), informed=knowing)
    ), (*before, Do.LOOK)


def is_informed(state: CallState) -> bool:
    """Whether the party at the other end was there first, or is informed."""
    return bool(state.transfer.informed & names(state.internal.leg, state.internal.party))


def mark_conference(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The external party leaves a conference: they were not alone in it."""
    return state, (WriteMark("conference_left", at),) if state.phase is Phase.ANNOUNCED else ()


def apply_check(state: CallState, event: LegChecked) -> tuple[CallState, Actions]:
    """The switch has said whether the leg of a party who joined is external."""
    target = state.transfer.target
    if target is None or target.sound or target.leg != event.other or state.phase is not Phase.ANNOUNCED:
        return state, ()
    state = set_target(state, None)
    if event.external:
        return _end_outside(state, event.at)
    return (state, ()) if is_informed(state) else _notify(state, event.at)


def _end_outside(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    note = WriteMark("transferred_outside", at)
    if not is_informed(state):
        return end_recording(state), (note, Do.STOP)
    # The first party: nobody of ours has spoken.
    state = replace(
        state, phase=Phase.UNRECORDED, reason="forwarded_outside", question=OpenQuestion(), timer=Timer()
    )
    return state, (note, Do.STOP, Do.DISCARD)


def _notify(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    notice = state.script.transfer_notice
    if notice is None or state.hold.active:
        return set_target(state, None), ()
    state, broken = transfer_consent.break_off_others(set_target(state, None), at)
    state = set_target(state, TransferTarget(state.internal.leg, notice.sound.path))
    return time_notice(state, at, notice.sound), (*broken, Do.TELL)


def time_notice(state: CallState, at: datetime, sound: Speech) -> CallState:
    """Set the timer for the notice."""
    # An open question owns the timer; the notice is over by then.
    return (
        state
        if state.question.step is not QuestionStep.IDLE
        else set_timer(state, at, patience(sound.length))
    )


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended on the target's leg."""
    target, notice = state.transfer.target, state.script.transfer_notice
    if target is None or notice is None or not target.sound:
        return state, ()
    if event.leg != INTERNAL or event.sound != target.sound or target.heard or target.due:
        return state, ()
    if event.other != target.leg and is_beside(state, target.leg) and not state.conference.name:
        return state, ()  # the party at the other end heard it, not the third party whom it is for
    if isinstance(event, SoundStarted):
        state = set_target(state, replace(target, began=event.at))
        asks = (("asks", state.plan.mode),) if transfer_consent.asks(state) else ()
        data = (("how", notice.how), *asks, *place_data(state))
        return state, (WriteMark("transfer_notice_started", event.at, data),)
    if target.began is None:
        return state, ()
    whole = event.complete and event.at - target.began >= notice.sound.length - SHORTER
    if not whole or event.ending:
        return stop(state, event.at, "stopped", event.ending)
    if transfer_consent.asks(state):
        return transfer_consent.await_answer(state, target, event.at)
    where = place_data(state)
    return (clear_target(state) if where else inform_present(clear_target(state))), (
        WriteMark("transfer_notice_finished", event.at, where),
    )


def time_out(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time for the notice, or for the answer, is over."""
    if state.transfer.target is not None and state.transfer.target.sound and transfer_consent.asks(state):
        return transfer_consent.time_out(state, at)
    return stop(state, at, "stopped")


def stop(state: CallState, at: datetime, why: str, ending: bool = False) -> tuple[CallState, Actions]:
    """The notice was not heard whole. ``ending``: the call or its recording is over."""
    target = state.transfer.target
    if target is None or (why == "hold" and not target.sound):
        return state, ()  # the check is quick, hold or not
    if target.sound and transfer_consent.asks(state):
        return transfer_consent.stop(state, at, why, ending)
    untold = (
        (WriteMark("transfer_notice_interrupted", at, (("reason", why), *place_data(state))),)
        if target.sound
        else ()
    )
    return clear_target(state), untold


def end_hold(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold is over: notify the party who has not heard it whole."""
    unknown = state.transfer.informed and not is_informed(state)
    if (
        state.phase is not Phase.ANNOUNCED
        or state.recording.over
        or state.transfer.target
        or not state.internal.leg
    ):
        return state, ()
    return _notify(state, at) if unknown else (state, ())


def reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch reports who is at the other end: ``event.other``, empty where
    nobody is."""
    if state.phase is not Phase.ANNOUNCED:
        return state, ()
    if state.recording.over:
        return _stop_again(state, event)
    state, unseen = _stop_unseen(state, event.at)
    if state.recording.over:
        return state, unseen
    before = state.internal.leg or state.internal.last_seen
    # Older marks have no legs.
    alike = before == UNKNOWN and event.other and state.internal.party in (event.party, None)
    before = event.other if alike else before
    if event.other == before:
        state, actions = check_target(
            replace(state, internal=replace(state.internal, leg=before, last_seen="")), event.at
        )
        if before and state.transfer.target is None and not state.plan.at_pickup:
            # Whether the switch was asked about them is unknown.
            state, actions = (
                set_target(state, TransferTarget(before)),
                (*actions, Do.LOOK),
            )
        return state, (*unseen, *actions)
    later = (("seen", "later"),)
    left: Actions = (WriteMark("unbridged", event.at, (*left_data(state), *later)),) if before else ()
    left = (*unseen, *left)
    if not event.other:
        return replace(state, internal=replace(state.internal, leg="", last_seen="")), left
    came = WriteMark("bridged", event.bridged_at or event.at, (*bridged_data(event), *later))
    state = replace(
        state,
        internal=replace(
            state.internal,
            connected=True,
            leg=event.other,
            party=event.party or state.internal.party,
            last_seen="",
        ),
    )
    state, actions = check_target(state, event.at)
    return state, (*left, came, *actions)


def _stop_unseen(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Count a target who was being notified as informed by now: nobody is notified twice."""
    target = state.transfer.target
    if target is None or not target.sound:
        return set_target(state, None), ()
    if transfer_consent.asks(state):
        return transfer_consent.stop(state, at, "unobserved")
    known = names(target.leg, state.internal.party)
    state, untold = stop(state, at, "unobserved")
    return inform(state, known), untold


def _stop_again(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Stop the recording again where the earlier command did not arrive."""
    return state, (Do.STOP,) if event.capturing else ()


_TOLD: Final = frozenset({"announcement_finished", "transfer_notice_finished", "transfer_question_answered"})
"""Marks after which whoever is at the other end is informed."""


def restore(state: CallState, notes: Iterable[WriteMark]) -> CallState:
    """Restore who was there and who is informed from an earlier daemon's marks."""
    leg, at_pickup = "", state.plan.at_pickup
    notice = state.script.transfer_notice
    for note in notes:
        said = dict(note.data)
        if note.kind == "bridged":
            leg = said.get("leg", "" if "in" in said else UNKNOWN)
            state = replace(
                state, internal=replace(state.internal, party=party_of(said) or state.internal.party)
            )
        elif note.kind == "unbridged":
            leg = ""
        elif note.kind == "transfer_notice_started" and notice is not None:
            state = set_target(state, TransferTarget(said.get("leg", leg), notice.sound.path, note.at))
        elif note.kind in (
            "transfer_notice_finished",
            "transfer_notice_interrupted",
            "transfer_question_answered",
        ):
            state = set_target(state, None)
        elif note.kind in ("transferred_outside", "transfer_question_refused"):
            state = replace(
                state,
                recording=replace(state.recording, over=True),
                transfer=replace(state.transfer, target=None),
            )
        # The first party; on answer, whoever heard the announcement; and whoever was notified.
        first = note.kind == "bridged" and not (at_pickup or state.transfer.informed)
        if first or (note.kind in _TOLD and "in" not in said):
            state = inform(state, names(leg, state.internal.party))
    return replace(state, internal=replace(state.internal, last_seen=leg))
