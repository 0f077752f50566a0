"""Announcing at pick-up: it rings as it always does, and once somebody answers both are told.

The switch is answered by the one who picks up, so busy and no answer are what they were, and nobody pays for
ringing.  While it rings nothing is recorded.  From the pick-up on it is, with a stop that the switch keeps by
itself: it ends the recording unless it has taken our word that the announcement was heard.  What keeps the
outside party from hearing it whole (a hold, a transfer) ends that recording; the next one begins with the
announcement again, in the same take.  That the colleague hears it whole is not waited for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recorder.call import feature_codes, keep_question, transfer_notice
from recorder.call.state import Actions, CallState, Do, Phase, Timer, WriteMark
from recorder.call.transitions import PAUSE, SHORTER, TRIES, give_up, heard, play, until
from recorder.domain.call_events import OUTSIDE, SoundEnded, SoundStarted


def ring(state: CallState) -> tuple[CallState, Actions]:
    """A call arrives: it rings, and nothing else."""
    state = replace(
        state,
        phase=Phase.RINGING,
        recording=replace(state.recording, ordered=True),
        prompt=replace(state.prompt, playing=False),
        timer=Timer(),
    )
    return state, (Do.RING, Do.OPEN)


def telling(state: CallState) -> bool:
    """Whether it is being announced to two who are connected."""
    return state.plan.at_pickup and state.phase is Phase.ANNOUNCING


def begin(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Tell them, if two are there, neither holds, and the call is on disk; else that is waited for."""
    state = replace(state, timer=Timer())
    if not (state.recording.on_disk and state.internal.leg) or state.hold.active:
        return state, ()
    if state.prompt.tries > TRIES:
        return give_up(state, "announcement_failed")
    state = play(
        replace(state, phase=Phase.ANNOUNCING, prompt=replace(state.prompt, tries=state.prompt.tries + 1)),
        state.prompt.sound,
        at,
    )
    # It counts from its beginning on the outside leg: an earlier one may still play, and end.
    return replace(state, prompt=replace(state.prompt, playing=False)), (Do.BEGIN,)


def again(state: CallState, at: datetime, reason: str) -> tuple[CallState, Actions]:
    """It was not heard whole: from the beginning, as soon as it can be."""
    state, before = _put_back(state, at, reason)
    state, actions = begin(state, at)
    return state, (*before, *actions)


def _put_back(state: CallState, at: datetime, reason: str) -> tuple[CallState, Actions]:
    note = WriteMark("announcement_broken", at, (("reason", reason),))
    state = replace(
        state,
        phase=Phase.RINGING,
        prompt=replace(state.prompt, playing=False),
        recording=replace(state.recording, capturing=False),
        timer=Timer(),
    )
    return state, (note, Do.PUT_BACK)


def sounded(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound began or ended on a leg; the outside party's counts."""
    if state.informed or event.leg != OUTSIDE or event.sound != state.prompt.sound.path:
        return state, ()
    if isinstance(event, SoundStarted):
        return replace(state, prompt=replace(state.prompt, playing=True, began=event.at)), (
            WriteMark("announcement_started", event.at),
        )
    if not state.prompt.playing:
        return state, ()
    state = replace(state, prompt=replace(state.prompt, playing=False))
    if event.ending:
        return state, ()
    # FreeSWITCH calls it done, too, where a transfer called the leg away in it, and counts what it has read
    # of the file as played (seen): how long it took tells.
    took = event.at - (state.prompt.began or event.at)
    if not event.complete or took < state.prompt.sound.length - SHORTER:
        state, actions = _put_back(state, event.at, "stopped")
        return until(state, event.at, PAUSE), actions
    if not state.recording.capturing:
        return give_up(state, "recording_failed")
    return heard(state, event.at)


def announced(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The switch has taken our word: they talk from now on, and a line may ask at once."""
    if not state.plan.at_pickup:
        return state, ()
    state = transfer_notice.present(state)
    keep, tones = state.script.keep, feature_codes.tones(state, at)
    if keep is None or not keep.at_start:
        return state, tones
    state, actions = keep_question.begin(state, at)
    return state, (*tones, *actions)
