"""Transitions that several phases of a call share: timers, prompts, giving up, declining, confirming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call.state import Actions, CallState, Do, Phase, Timer
from recorder.domain.call_plan import OPT_OUT, CallPlan, Speech
from recorder.domain.markers import Marker

MAX_TRIES: Final = 10
"""How often a sound is started before the call goes on unrecorded. The switch's time limit on a hanging
daemon starts again with each, so there must be an end."""

ANSWER_TIME: Final = timedelta(seconds=5)
"""How long a key is awaited after a question, and in opt-out after the announcement."""

PLAYBACK_GRACE: Final = timedelta(seconds=4)
"""How much longer than its length a sound may take. With the at most three seconds that the switch waits
for us to begin (``accord_wait``), whole seconds and twice the scheduler's own second, no call waits longer
than the prompts, the time to answer and ten seconds."""

CUT_TOLERANCE: Final = timedelta(milliseconds=250)
"""How much shorter than its sound a playback may seem by the times of its events. A playback that a transfer
cut is shorter still, though the switch reports it done (seen)."""

RETRY_DELAY: Final = timedelta(milliseconds=500)
"""Delay until a sound that was cut starts again: a transfer may have cut it, and is reported next."""

SILENCE: Final = Speech("silence_stream://8000", timedelta(seconds=8))
"""Played while another prompt plays at the other end, before the announcement is repeated."""

TALK_OVER_DELAY: Final = timedelta(seconds=3)
"""The same on answer, where nothing is recorded meanwhile."""

_MARGIN: Final = timedelta(milliseconds=500)
"""How much earlier than the switch we give up."""

REASONS: Final[Mapping[str, str]] = {"no": "declined", "none": "no_answer", "unclear": "unclear"}
"""Why a call is not recorded, by the answer to the consent question; silence in opt-out is no refusal."""


def playback_timeout(length: timedelta) -> timedelta:
    """Return how long a sound may take before we give up."""
    return length + PLAYBACK_GRACE - _MARGIN


def switch_timeout(length: timedelta, answer: timedelta = timedelta(0)) -> int:
    """Return the seconds that the switch waits from the start of a sound until it goes on by itself;
    ``answer`` is the time to answer after it."""
    return -(-(length + answer + PLAYBACK_GRACE) // timedelta(seconds=1))


def longest_wait(plan: CallPlan) -> float:
    """Return the seconds after which the switch has certainly gone on with a call by itself."""
    sounds = [
        plan.menu,
        SILENCE,
        *(each for one in plan.scripts for each in (one.announcement, one.question, one.declined)),
    ]
    waits = [switch_timeout(sound.length, ANSWER_TIME) + 1.0 for sound in sounds if sound is not None]
    return MAX_TRIES * sum(waits)


def set_timer(state: CallState, at: datetime, wait: timedelta) -> CallState:
    """Set the call's timer to ``wait`` from ``at`` on."""
    return replace(state, timer=Timer(at + wait, wait))


def stop_prompt(state: CallState) -> CallState:
    """The prompt is over."""
    return replace(state, prompt=replace(state.prompt, playing=False))


def set_capturing(state: CallState, captures: bool) -> CallState:
    """The switch records the call now, or does not."""
    return replace(state, recording=replace(state.recording, capturing=captures))


def end_recording(state: CallState) -> CallState:
    """The recording ends before the call does."""
    return replace(state, recording=replace(state.recording, over=True))


def play(state: CallState, sound: Speech, at: datetime) -> CallState:
    """Order a prompt."""
    state = replace(
        state,
        prompt=replace(state.prompt, sound=sound, playing=True, spoiled=False, interruption=""),
        hold=replace(state.hold, changed=None),
    )
    return set_timer(state, at, playback_timeout(sound.length))


def go_unrecorded(state: CallState, reason: str) -> tuple[CallState, Actions]:
    """The switch went on without us and has stopped the recording; this makes sure."""
    state = replace(state, phase=Phase.UNRECORDED, reason=reason, timer=Timer())
    return state, (Do.STOP, Do.DISCARD, Do.LEAVE) if state.recording.capturing else (Do.DISCARD, Do.LEAVE)


def give_up(state: CallState, reason: str) -> tuple[CallState, Actions]:
    """The call cannot or may not be recorded: tell the switch first, then hand the call back.

    Once our confirmation is on its way the switch decides: it may have taken it while the daemon slept.
    Then the recording goes on, and must not be destroyed."""
    if state.informed and state.recording.on_disk:
        return replace(state, reason=reason, timer=Timer()), (Do.FAIL,)
    never_begun = state.phase is Phase.RINGING and not state.internal.connected
    state = replace(state, phase=Phase.UNRECORDED, reason=reason, timer=Timer())
    return state, (Do.DISCARD,) if never_begun else (Do.FAIL, Do.DISCARD)


def decline(state: CallState, at: datetime, answer: str, key: str = "") -> tuple[CallState, Actions]:
    """Consent is refused, or could not be obtained: play that the call is not recorded, at once and whatever
    plays, and destroy the captured audio."""
    sound = state.script.declined or Speech("", timedelta(0))
    cut: Actions = (Do.CUT,) if state.prompt.playing else ()
    stop: Actions = (Do.STOP,) if state.recording.capturing else ()
    state = replace(
        state,
        phase=Phase.UNRECORDED,
        reason=REASONS[answer],
        prompt=replace(state.prompt, sound=sound, playing=True),
    )
    state = set_timer(state, at, playback_timeout(sound.length))
    return state, (answer_marker("recording", answer, at, key), *cut, Do.DECLINE, *stop, Do.DISCARD)


def answer_marker(question: str, answer: str, at: datetime, key: str) -> Marker:
    """Return the marker for the answer to a question."""
    pressed = {"key": key} if key else {}
    return Marker(at, "question_answered", {"question": question, "answer": answer, **pressed})


def finish_announcement(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The announcement was heard whole while the call was being recorded; in opt-out the external party may
    still refuse, while an inbound call rings."""
    marker = Marker(at, "announcement_finished")
    if state.plan.mode == OPT_OUT:
        order = Do.LISTEN if state.plan.outbound else Do.RING_ON
        return set_timer(replace(state, phase=Phase.CHOOSING), at, ANSWER_TIME), (marker, order)
    state, actions = confirm(replace(state, informed=True))
    return state, (marker, *actions)


def await_key(state: CallState) -> Actions:
    """Return the actions after which keys are reported."""
    return (Do.LISTEN,) if state.plan.outbound else ()


def confirm(state: CallState) -> tuple[CallState, Actions]:
    """Confirm a call that was announced and is on disk: only then may the recording go on. The switch has
    the last word."""
    return state, (Do.CONFIRM,) if state.informed and state.recording.on_disk else ()
