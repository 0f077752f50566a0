"""The internal party, and whether they are informed: a colleague who joins later hears that the call is
recorded.

The first party who speaks with the external one is informed, and so is whoever heard the announcement;
everybody after them is a transfer target, whether by a transfer, a pick-up or otherwise. The switch is first
asked whether the target is external: then the recording ends, because the call has no internal party any
more. The same holds for the first party: a call that was forwarded to an external number before any internal
party spoke is not recorded, unless both heard an announcement on answer. On a line with a transfer notice the
target hears it, alone or together with the external party. Nobody is notified twice, neither an earlier party
who is back, nor one who returns from a hold or from a consultation.

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
)
from recorder.call.transfer_target import clear_target, inform, is_beside, names, place_data, set_target
from recorder.call.transitions import CUT_TOLERANCE, end_recording, playback_timeout, set_timer
from recorder.domain.call_events import (
    INTERNAL,
    CallReconciled,
    LegBridged,
    LegChecked,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import Speech
from recorder.domain.markers import LATER, Marker
from recorder.domain.parties import party_data, party_of

UNKNOWN_LEG: Final = "unknown"
"""The leg of a party whose leg is in no marker."""


def bridged_data(event: LegBridged | CallReconciled) -> dict[str, str]:
    """Return the data of the marker for a party who joins; it never includes the displayed name."""
    party = party_data(event.party)
    return {**party, "leg": event.other} if event.other else party


def left_data(state: CallState) -> dict[str, str]:
    """Return the data of the marker for the party who leaves."""
    return party_data(state.internal.party)


def inform_party(state: CallState) -> CallState:
    """The party at the other end is informed."""
    return inform(state, names(state.internal.leg, state.internal.party))


def note_first_party(state: CallState) -> CallState:
    """While the call can be refused nobody is notified: note only who was there first."""
    return state if state.transfer.informed else inform_party(state)


def mark_missed_departure(state: CallState, event: LegBridged) -> Actions:
    """Mark that the party before has left, which the switch does not always report."""
    if not state.internal.leg or state.internal.leg == event.other:
        return ()
    return (Marker(event.at, "unbridged", left_data(state)),)


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
    informed = who if first else state.transfer.informed
    return replace(
        state, transfer=replace(state.transfer, target=TransferTarget(state.internal.leg), informed=informed)
    ), (*before, Do.CHECK_TARGET)


def check_party(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The call can no longer be refused: check who is at the other end by now."""
    if not is_informed(state):
        return check_target(state, at)
    return set_target(state, TransferTarget(state.internal.leg)), (Do.CHECK_TARGET,)


def is_informed(state: CallState) -> bool:
    """Whether the party at the other end was there first, or is informed."""
    return bool(state.transfer.informed & names(state.internal.leg, state.internal.party))


def mark_conference(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Mark that the external party leaves a conference: they were not alone in it."""
    return state, (Marker(at, "conference_left"),) if state.phase is Phase.ANNOUNCED else ()


def apply_check(state: CallState, event: LegChecked) -> tuple[CallState, Actions]:
    """Apply the switch's answer whether the transfer target is external."""
    target = state.transfer.target
    if target is None or target.sound or target.leg != event.other or state.phase is not Phase.ANNOUNCED:
        return state, ()
    state = set_target(state, None)
    if event.external:
        return _end_external(state, event.at)
    return (state, ()) if is_informed(state) else _notify(state, event.at)


def _end_external(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    marker = Marker(at, "transferred_externally")
    if not is_informed(state):
        return end_recording(state), (marker, Do.STOP)
    # The first party: no internal one has spoken.
    state = replace(
        state, phase=Phase.UNRECORDED, reason="forwarded_externally", question=OpenQuestion(), timer=Timer()
    )
    return state, (marker, Do.STOP, Do.DISCARD)


def _notify(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    notice = state.script.transfer_notice
    if notice is None or state.hold.active:
        return set_target(state, None), ()
    state, interruption = transfer_consent.break_off_others(set_target(state, None), at)
    state = set_target(state, TransferTarget(state.internal.leg, notice.sound.path))
    return time_notice(state, at, notice.sound), (*interruption, Do.NOTIFY)


def time_notice(state: CallState, at: datetime, sound: Speech) -> CallState:
    """Set the timer for the notice."""
    # An open question owns the timer; the notice is over by then.
    return (
        state
        if state.question.step is not QuestionStep.IDLE
        else set_timer(state, at, playback_timeout(sound.length))
    )


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended on the target's leg."""
    target, notice = state.transfer.target, state.script.transfer_notice
    if target is None or notice is None or not target.sound:
        return state, ()
    if event.leg != INTERNAL or event.sound != target.sound or target.question_heard or target.due:
        return state, ()
    if event.other != target.leg and is_beside(state, target.leg) and not state.conference.name:
        return state, ()  # heard by the party at the other end; it is for the third party
    if isinstance(event, SoundStarted):
        state = set_target(state, replace(target, started_at=event.at))
        asks = {"asks": state.plan.mode} if transfer_consent.asks_for_consent(state) else {}
        data = {"how": notice.how, **asks, **place_data(state)}
        return state, (Marker(event.at, "transfer_notice_started", data),)
    if target.started_at is None:
        return state, ()
    whole = event.complete and event.at - target.started_at >= notice.sound.length - CUT_TOLERANCE
    if not whole or event.hangup:
        return stop(state, event.at, "stopped", event.hangup)
    if transfer_consent.asks_for_consent(state):
        return transfer_consent.await_answer(state, target, event.at)
    where = place_data(state)
    return (clear_target(state) if where else inform_party(clear_target(state))), (
        Marker(event.at, "transfer_notice_finished", where),
    )


def time_out(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time for the notice, or for the answer, is over."""
    target = state.transfer.target
    if target is not None and target.sound and transfer_consent.asks_for_consent(state):
        return transfer_consent.time_out(state, at)
    return stop(state, at, "stopped")


def stop(state: CallState, at: datetime, why: str, call_ends: bool = False) -> tuple[CallState, Actions]:
    """The notice was not heard whole. ``call_ends``: the call or its recording is over."""
    target = state.transfer.target
    if target is None or (why == "hold" and not target.sound):
        return state, ()  # the switch answers despite the hold
    if target.sound and transfer_consent.asks_for_consent(state):
        return transfer_consent.stop(state, at, why, call_ends)
    notice = (
        (Marker(at, "transfer_notice_interrupted", {"reason": why, **place_data(state)}),)
        if target.sound
        else ()
    )
    return clear_target(state), notice


def end_hold(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold is over: notify the party who has not heard the notice whole."""
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
        return _repeat_stop(state, event)
    state, unseen = _stop_unseen(state, event.at)
    if state.recording.over:
        return state, unseen
    before = state.internal.leg or state.internal.last_seen
    # Some markers have no leg.
    alike = before == UNKNOWN_LEG and event.other and state.internal.party in (event.party, None)
    before = event.other if alike else before
    if event.other == before:
        state, actions = check_target(
            replace(state, internal=replace(state.internal, leg=before, last_seen="")), event.at
        )
        if before and state.transfer.target is None and not state.plan.at_pickup:
            # Whether the switch was asked about them is unknown.
            state, actions = set_target(state, TransferTarget(before)), (*actions, Do.CHECK_TARGET)
        return state, (*unseen, *actions)
    left: Actions = (Marker(event.at, "unbridged", {**left_data(state), **LATER}),) if before else ()
    left = (*unseen, *left)
    if not event.other:
        return replace(state, internal=replace(state.internal, leg="", last_seen="")), left
    bridge = Marker(event.bridged_at or event.at, "bridged", {**bridged_data(event), **LATER})
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
    return state, (*left, bridge, *actions)


def _stop_unseen(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Count a target who was being notified as informed by now: nobody is notified twice."""
    target = state.transfer.target
    if target is None or not target.sound:
        return set_target(state, None), ()
    if transfer_consent.asks_for_consent(state):
        return transfer_consent.stop(state, at, "unobserved")
    known = names(target.leg, state.internal.party)
    state, notice = stop(state, at, "unobserved")
    return inform(state, known), notice


def _repeat_stop(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Stop the recording again where the earlier command did not arrive."""
    return state, (Do.STOP,) if event.capturing else ()


_INFORMING_KINDS: Final = frozenset(
    {"announcement_finished", "transfer_notice_finished", "transfer_question_answered"}
)
"""Kinds of markers after which the party at the other end is informed."""


def restore(state: CallState, markers: Iterable[Marker]) -> CallState:
    """Restore who was there and who is informed from an earlier daemon's markers."""
    leg, at_pickup = "", state.plan.at_pickup
    notice = state.script.transfer_notice
    for marker in markers:
        data = marker.data
        if marker.kind == "bridged":
            leg = data.get("leg", "" if "in" in data else UNKNOWN_LEG)
            state = replace(
                state, internal=replace(state.internal, party=party_of(data) or state.internal.party)
            )
        elif marker.kind == "unbridged":
            leg = ""
        elif marker.kind == "transfer_notice_started" and notice is not None:
            state = set_target(state, TransferTarget(data.get("leg", leg), notice.sound.path, marker.at))
        elif marker.kind in (
            "transfer_notice_finished",
            "transfer_notice_interrupted",
            "transfer_question_answered",
        ):
            state = set_target(state, None)
        elif marker.kind in ("transferred_externally", "transfer_question_refused"):
            state = replace(
                state,
                recording=replace(state.recording, over=True),
                transfer=replace(state.transfer, target=None),
            )
        # The first party; where announced on answer, whoever heard that; and whoever was notified.
        first = marker.kind == "bridged" and not (at_pickup or state.transfer.informed)
        if first or (marker.kind in _INFORMING_KINDS and "in" not in data):
            state = inform(state, names(leg, state.internal.party))
    return replace(state, internal=replace(state.internal, last_seen=leg))
