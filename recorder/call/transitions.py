"""What ends a stage of a call: waiting too long, giving up, being declined, being confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call.state import Actions, CallState, Do, Phase, Timer, WriteMark
from recorder.domain.call_plan import OPT_OUT, CallPlan, Speech

TRIES: Final = 10
"""How often a sound is begun before the call goes on unrecorded; the bound on a hanging daemon starts anew
with each, so it must end somewhere."""

ANSWER: Final = timedelta(seconds=5)
"""How long a key is waited for after a question, and in opt-out after the announcement."""

GRACE: Final = timedelta(seconds=4)
"""What a sound may take beyond its own length.  With the at most three seconds that the switch waits for us
to begin (``accord_wait``), whole seconds and the scheduler's own second twice, no call waits longer than what
is said, the time for an answer and ten seconds."""

SHORTER: Final = timedelta(milliseconds=250)
"""By which a playing may seem shorter than its sound, by the times of its events; one that a transfer cut is
shorter still, and the switch calls it done all the same (seen)."""

PAUSE: Final = timedelta(milliseconds=500)
"""Until what was cut begins again: what cut it may be a transfer, which is told of next."""

_MARGIN: Final = timedelta(milliseconds=500)
"""By which we give up earlier than the switch would."""

REASONS: Final[Mapping[str, str]] = {"no": "declined", "none": "no_answer", "unclear": "unclear"}
"""Why a call is not recorded, by the answer to the question; silence in opt-out is no refusal."""


def patience(length: timedelta) -> timedelta:
    """How long a sound may take until we give up."""
    return length + GRACE - _MARGIN


def bound(length: timedelta, answer: timedelta = timedelta(0)) -> int:
    """Seconds that the switch waits from a sound's start until it goes on by itself; ``answer`` is how long
    a key is waited for after it."""
    return -(-(length + answer + GRACE) // timedelta(seconds=1))


def longest(plan: CallPlan) -> float:
    """Seconds that a call may be in our hands, whatever happens: the switch has long gone on by then."""
    sounds = [
        plan.menu,
        *(each for one in plan.scripts for each in (one.announcement, one.question, one.declined)),
    ]
    return sum(TRIES * (bound(sound.length, ANSWER) + 1.0) for sound in sounds if sound is not None)


def until(state: CallState, at: datetime, wait: timedelta) -> CallState:
    """Wait so long from ``at``."""
    return replace(state, timer=Timer(at + wait, wait))


def play(state: CallState, sound: Speech, at: datetime) -> CallState:
    """A sound is ordered."""
    state = replace(
        state,
        prompt=replace(state.prompt, sound=sound, playing=True, spoiled=False, recoded=False),
        hold=replace(state.hold, changed=None),
    )
    return until(state, at, patience(sound.length))


def unrecorded(state: CallState, reason: str) -> tuple[CallState, Actions]:
    """The switch went on without us, and has stopped the recording; we stop it too."""
    state = replace(state, phase=Phase.UNRECORDED, reason=reason, timer=Timer())
    return state, (Do.STOP, Do.DISCARD, Do.LEAVE) if state.recording.capturing else (Do.DISCARD, Do.LEAVE)


def give_up(state: CallState, reason: str) -> tuple[CallState, Actions]:
    """We cannot or may not record it: the switch is told first, then has its call back.

    Once our word is on its way the switch decides: it may have taken it while we slept, and then the
    recording goes on and is not ours to destroy."""
    if state.informed and state.recording.on_disk:
        return replace(state, reason=reason, timer=Timer()), (Do.FAIL,)
    never_begun = state.phase is Phase.RINGING and not state.internal.connected
    state = replace(state, phase=Phase.UNRECORDED, reason=reason, timer=Timer())
    return state, (Do.DISCARD,) if never_begun else (Do.FAIL, Do.DISCARD)


def decline(state: CallState, at: datetime, answer: str, key: str = "") -> tuple[CallState, Actions]:
    """It is not to be recorded, as far as anybody could be asked: that is said at once, whatever plays, and
    what was captured is destroyed."""
    said = state.script.declined or Speech("", timedelta(0))
    cut: Actions = (Do.CUT,) if state.prompt.playing else ()
    stop: Actions = (Do.STOP,) if state.recording.capturing else ()
    state = replace(
        state,
        phase=Phase.UNRECORDED,
        reason=REASONS[answer],
        prompt=replace(state.prompt, sound=said, playing=True),
    )
    state = until(state, at, patience(said.length))
    return state, (answered("recording", answer, at, key), *cut, Do.DECLINE, *stop, Do.DISCARD)


def answered(question: str, answer: str, at: datetime, key: str) -> WriteMark:
    """What came of a question."""
    data = (("question", question), ("answer", answer))
    return WriteMark("answered", at, (*data, ("key", key)) if key else data)


def heard(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The announcement was heard whole while it was recorded; in opt-out they may still refuse."""
    note = WriteMark("announcement_finished", at)
    if state.plan.mode == OPT_OUT:
        return until(replace(state, phase=Phase.CHOOSING), at, ANSWER), (note, *listen(state))
    state, actions = confirm(replace(state, informed=True))
    return state, (note, *actions)


def listen(state: CallState) -> Actions:
    """What it takes that a key is heard from now on."""
    return (Do.LISTEN,) if state.plan.outbound else ()


def confirm(state: CallState) -> tuple[CallState, Actions]:
    """Announced and on disk: only then may the recording go on.  The switch has the last word."""
    return state, (Do.CONFIRM,) if state.informed and state.recording.on_disk else ()
