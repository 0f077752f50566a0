"""The daemon is connected to the switch again: what happened to a call that nobody watched meanwhile.

The switch reports the state of the call, who takes part, and its holds and pauses. The time in between is
marked as unobserved, and what was missed is marked as seen later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from recorder.call import announce_on_answer, conference, eavesdrop, feature_codes, phases
from recorder.call.state import Actions, CallState, Do, Phase, Timer
from recorder.call.transitions import confirm, go_unrecorded
from recorder.domain.call_events import INTERNAL, CallReconciled, HoldEnded, HoldStarted
from recorder.domain.markers import LATER, Marker

_SAME_HOLD: Final = timedelta(seconds=2)
"""How much later a hold may seem to begin by the leg's own time than by its event (seen: some tenths of a
second)."""


def reconcile(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Apply the switch's report on a call that still exists; ``event.state`` is its state of the call."""
    gap = (Marker(event.since or event.at, "unobserved_from"), Marker(event.at, "unobserved_to"))
    if state.phase in phases.ANNOUNCING_PHASES and event.state == "announced":
        # The switch took our confirmation before we could mark it. A later time redacts more, never less.
        state = replace(
            state, phase=Phase.ANNOUNCED, timer=Timer(), recording=replace(state.recording, captured=True)
        )
        state, parties = _reconcile_parties(state, event)
        state, rest = _reconcile_rest(state, event)
        return state, (Marker(event.at, "announcement_finished", LATER), *gap, *parties, *rest)
    if announce_on_answer.is_announcing(state) and state.informed and event.state == "announcing":
        state, actions = confirm(state)  # our confirmation may not have arrived
        return state, (*actions, *gap)
    if event.state == "refusable" and state.phase < Phase.ANNOUNCED and not state.informed:
        state, actions = go_unrecorded(state, "daemon_away")  # a refusal may have been missed
        return state, (*actions, *gap)
    if state.timer.deadline is not None and phases.must_repeat(state) and not state.hold.active:
        # An earlier daemon's call: its announcement is over, and was not confirmed.
        state, actions = go_unrecorded(state, "daemon_away")
        return state, (*actions, *gap)
    if state.phase is Phase.RINGING and event.bridged_at is not None and not state.internal.connected:
        # Somebody answered while no daemon was there to announce.
        state, actions = go_unrecorded(
            replace(state, internal=replace(state.internal, connected=True)), "daemon_away"
        )
        return state, (*actions, *gap)
    if state.phase is Phase.UNRECORDED and event.capturing:
        return state, (Do.STOP, Do.DISCARD, *gap)  # an earlier daemon's command may not have arrived
    state, parties = _reconcile_parties(state, event)
    if state.recording.over and state.phase is Phase.ANNOUNCED:
        state, end = (state, ()) if event.capturing else phases.end_call(state, event.at)
        return state, (*gap, *parties, *end)
    state, rest = _reconcile_rest(state, event)
    # As above: in opt-out the call goes on until the switch takes our confirmation.
    again = (Do.CONFIRM,) if event.state == "refusable" and state.phase <= Phase.ANNOUNCED else ()
    return state, (*again, *gap, *parties, *rest)


def _reconcile_parties(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Apply who is at the other end, who else takes part, and who listens."""
    state, participants = conference.reconcile(state, event)
    state, supervisors = eavesdrop.reconcile(state, event)
    return state, (*participants, *supervisors)


def _reconcile_rest(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Apply the pause and the holds of a call that goes on, once its internal party is known."""
    state, pause = feature_codes.reconcile_pause(state, event)
    state, holds = _reconcile_holds(state, event)
    return state, (*pause, *holds, *feature_codes.repeat_tones(state, event.at))


def _reconcile_holds(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Apply the holds that the switch reports, and since when; nobody saw them begin or end."""
    if state.phase is not Phase.ANNOUNCED or state.recording.over:
        return state, ()
    colleague: Actions = ()
    actions: Actions = ()
    started: Actions = ()
    if event.colleague_held_since is not None:
        hold = HoldStarted(event.at, leg=INTERNAL, since=event.colleague_held_since)
        state, colleague = phases.start_colleague_hold(state, hold)
    since = event.held_since
    if state.hold.active and (
        since is None or (state.hold.changed is not None and since > state.hold.changed + _SAME_HOLD)
    ):
        state, actions = phases.end_hold(state, HoldEnded(event.at, since=since or event.at))
    if since is not None and not state.hold.active:
        state, started = phases.start_hold(state, HoldStarted(event.at, since=since))
    return state, (*colleague, *actions, *started)
