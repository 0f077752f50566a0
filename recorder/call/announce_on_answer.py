"""Announcement on answer: the call rings as usual, and both parties hear the announcement once somebody
answers.

The switch reports the answer only then, so busy and no answer stay what they are, and ringing costs
nothing. Nothing is recorded while it rings. From the answer on the call is recorded, and the switch itself
ends the recording unless it has taken our confirmation that the announcement was heard. If a hold or a
transfer keeps the external party from hearing it whole, or another prompt plays over it, that recording ends,
and the next one, in the same file, begins with the announcement again. The colleague need not hear it whole.

Where the call has reached another line of this switch, that line announces first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recorder.call.state import Actions, CallState, Do, Phase, Timer
from recorder.call.transitions import (
    CUT_TOLERANCE,
    MAX_TRIES,
    RETRY_DELAY,
    TALK_OVER_DELAY,
    finish_announcement,
    give_up,
    play,
    set_timer,
    stop_prompt,
)
from recorder.domain.call_events import EXTERNAL, SoundEnded, SoundStarted
from recorder.domain.markers import Marker


def ring(state: CallState) -> tuple[CallState, Actions]:
    """A call arrives: let it ring."""
    state = replace(
        state,
        phase=Phase.RINGING,
        recording=replace(state.recording, ordered=True),
        prompt=replace(state.prompt, playing=False),
        timer=Timer(),
    )
    return state, (Do.RING, Do.OPEN)


def take_turn(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The line at the far end has announced: announce now, if the two are connected."""
    if not state.awaits_turn:
        return state, ()
    state = replace(state, awaits_turn=False)
    return begin(state, at) if state.phase is Phase.RINGING else (state, ())


def is_announcing(state: CallState) -> bool:
    """Whether the announcement plays to two connected parties."""
    return state.plan.at_pickup and state.phase is Phase.ANNOUNCING


def begin(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Announce, if two parties are connected, the external one does not hold the call, it is this call's
    turn, and the call's folder is on disk; otherwise wait for that."""
    state = replace(state, timer=Timer())
    ready = state.recording.on_disk and state.internal.leg
    if not ready or state.hold.active or state.awaits_turn:
        return state, ()
    if state.prompt.tries > MAX_TRIES:
        return give_up(state, "announcement_failed")
    state = play(
        replace(state, phase=Phase.ANNOUNCING, prompt=replace(state.prompt, tries=state.prompt.tries + 1)),
        state.prompt.sound,
        at,
    )
    # It counts from its start on the external leg: an earlier announcement may still be playing.
    return stop_prompt(state), (Do.BEGIN,)


def begin_again(state: CallState, at: datetime, reason: str) -> tuple[CallState, Actions]:
    """Announce again from the beginning as soon as possible, because it was not heard whole."""
    state, before = _put_back(state, at, reason)
    state, actions = begin(state, at)
    return state, (*before, *actions)


def _put_back(state: CallState, at: datetime, reason: str) -> tuple[CallState, Actions]:
    marker = Marker(at, "announcement_interrupted", {"reason": reason})
    state = replace(
        state,
        phase=Phase.RINGING,
        prompt=replace(state.prompt, playing=False),
        recording=replace(state.recording, capturing=False),
        timer=Timer(),
    )
    return state, (marker, Do.PUT_BACK)


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended on a leg; only the external party's counts."""
    if state.informed or event.leg != EXTERNAL or event.sound != state.prompt.sound.path:
        return state, ()
    if isinstance(event, SoundStarted):
        return replace(state, prompt=replace(state.prompt, playing=True, started_at=event.at)), (
            Marker(event.at, "announcement_started"),
        )
    if not state.prompt.playing:
        return state, ()
    state = stop_prompt(state)
    if event.hangup:
        return state, ()
    # FreeSWITCH reports a playback done also where a transfer took the leg away, and counts what it has read
    # of the file as played (seen); the time it took shows the difference.
    elapsed = event.at - (state.prompt.started_at or event.at)
    if not event.complete or elapsed < state.prompt.sound.length - CUT_TOLERANCE:
        state, actions = _put_back(state, event.at, "stopped")
        return set_timer(state, event.at, RETRY_DELAY), actions
    if not state.recording.capturing:
        return give_up(state, "recording_failed")
    if event.talked_over and not state.prompt.talked_over:
        state, actions = _put_back(state, event.at, "talked_over")
        state = replace(state, prompt=replace(state.prompt, talked_over=True))
        return set_timer(state, event.at, TALK_OVER_DELAY), actions
    return finish_announcement(state, event.at)
