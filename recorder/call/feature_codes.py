"""Feature codes that a colleague dials in a recorded call; codes of the external party are not accepted.

======  ============================================================================================
keep    asks the keep question (``keep_question.py``)
pause   the switch pauses the recording, also without the daemon, and resumes it after a time that it
        reports
resume  resumes the recording
mark    marks the moment; the colleague hears a tone once the marker is written
delete  on a line that allows it: the colleague alone is asked to confirm. 1 stops the recording, destroys
        it and plays that to both. Any other key, silence, a hold or another party: nothing happens
======  ============================================================================================

Only one question is open at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call import keep_question
from recorder.call.state import Actions, CallState, Do, OpenQuestion, PauseState, Phase, QuestionStep, Timer
from recorder.call.transitions import playback_timeout, set_timer
from recorder.domain.call_events import (
    DELETE,
    INTERNAL,
    KEEP,
    MARK,
    PAUSE,
    RESUME,
    CallReconciled,
    CodeDialled,
    CommandGiven,
    KeyPressed,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.markers import LATER, Marker

TIME_TO_CONFIRM: Final = timedelta(seconds=10)

YES: Final = "1"


Request = CodeDialled | CommandGiven


def dial(state: CallState, event: CodeDialled) -> tuple[CallState, Actions]:
    """A colleague dialled a code."""
    return carry_out(
        replace(state, internal=replace(state.internal, leg=event.other or state.internal.leg)), event
    )


def carry_out(state: CallState, event: Request) -> tuple[CallState, Actions]:
    """Carry out a code or a command; unknown ones are ignored."""
    act = _CODES.get(event.code)
    return (state, ()) if act is None else act(state, event)


def _pause(state: CallState, event: Request) -> tuple[CallState, Actions]:
    seconds = str(int(event.lasts.total_seconds()))
    state, interruption = _break_for_pause(replace(state, pause=PauseState(event.at + event.lasts)), event.at)
    return state, (Marker(event.at, "paused", {"seconds": seconds, **_by(event)}), *interruption)


def _break_for_pause(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A pause breaks off the keep question, but not the deletion question: the answer to that one need not be
    in the recording."""
    return (state, ()) if _asks_to_delete(state) else keep_question.pause(state, at)


def _resume(state: CallState, event: Request) -> tuple[CallState, Actions]:
    return replace(state, pause=PauseState(None)), (Marker(event.at, "resumed", _by(event)),)


def _mark(state: CallState, event: Request) -> tuple[CallState, Actions]:
    # The panel and the API show the outcome themselves.
    tone: Actions = (Do.MARK_TONE,) if isinstance(event, CodeDialled) else ()
    return state, (Marker(event.at, "moment_marked", _by(event)), *tone)


def _by(event: Request) -> dict[str, str]:
    """Return the data that says where a request came from, if not from the telephone."""
    return {"by": event.by} if isinstance(event, CommandGiven) else {}


def _delete(state: CallState, event: Request) -> tuple[CallState, Actions]:
    delete = state.script.delete
    if delete is None or not state.in_conversation or state.question.step is not QuestionStep.IDLE:
        return state, ()
    question = OpenQuestion(QuestionStep.QUESTION, how=DELETE, sound=delete.question.path)
    state = set_timer(replace(state, question=question), event.at, playback_timeout(delete.question.length))
    return state, (Marker(event.at, "deletion_question_asked"), Do.DELETE_ASK)


_CODES: Final[dict[str, Callable[[CallState, Request], tuple[CallState, Actions]]]] = {
    KEEP: lambda state, event: keep_question.begin(state, event.at),
    PAUSE: _pause,
    RESUME: _resume,
    MARK: _mark,
    DELETE: _delete,
}


def reconcile_pause(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """Apply the pause that the switch reports: whether there is one, since when and for how long. It may
    differ from the known pause, which has ended by itself or was started again, and may be over already."""
    if state.phase is not Phase.ANNOUNCED:
        return state, ()
    until = (event.paused_at or event.at) + event.lasts
    known = state.pause.until is not None and (event.paused_at is None or until <= state.pause.until)
    if event.paused:
        is_new = not (known and state.pause.is_active(event.at))
    else:
        is_new = not known and _began_unobserved(event)
    pause: Actions = ()
    if is_new:
        seconds = str(int(event.lasts.total_seconds()))
        unknown = {} if event.paused_at else {"began": "unknown"}
        state, interruption = _break_for_pause(replace(state, pause=PauseState(until)), event.at)
        marker = Marker(event.paused_at or event.at, "paused", {"seconds": seconds, **unknown, **LATER})
        pause = (marker, *interruption)
    if event.paused:
        return state, pause
    resumed: Actions = (Marker(event.at, "resumed", LATER),) if state.pause.is_active(event.at) else ()
    return replace(state, pause=PauseState(None)), (*pause, *resumed)


def _began_unobserved(event: CallReconciled) -> bool:
    """Whether a pause that is over began while nobody watched. The switch gives whole seconds."""
    if event.paused_at is None or event.since is None:
        return False
    return event.paused_at + timedelta(seconds=1) > event.since


def repeat_tones(state: CallState, at: datetime) -> Actions:
    """Return the orders for tones, which the switch repeats by itself: to a colleague who joined a paused
    recording, and to either party where the line says so."""
    if state.phase is not Phase.ANNOUNCED or not state.internal.connected:
        return ()
    return (
        *((Do.PAUSE_TONE,) if state.pause.is_active(at) else ()),
        *((Do.BEEP,) if state.plan.beep else ()),
    )


# --- the open question: the deletion question here, or the keep question


def _asks_to_delete(state: CallState) -> bool:
    return state.question.how == DELETE


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended on a leg."""
    question = state.question
    if not _asks_to_delete(state):
        return keep_question.follow_sound(state, event)
    if question.step is not QuestionStep.QUESTION or event.leg != INTERNAL or event.sound != question.sound:
        return state, ()
    if isinstance(event, SoundStarted):
        return replace(state, question=replace(question, started_on=frozenset({INTERNAL}))), ()
    if not question.started_on:
        return state, ()
    if not event.complete or event.hangup:
        return _drop(state, event.at)
    return set_timer(
        replace(state, question=replace(question, step=QuestionStep.ANSWER)), event.at, TIME_TO_CONFIRM
    ), ()


def press_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """Either side pressed a key."""
    if not _asks_to_delete(state):
        return keep_question.press_key(state, event)
    if state.question.step is not QuestionStep.ANSWER or event.leg != INTERNAL:
        return state, ()
    if event.key != YES:
        return _drop(state, event.at)
    return delete(state, event.at)


def delete(state: CallState, at: datetime, by: str = "") -> tuple[CallState, Actions]:
    """Deletion was confirmed."""
    state = replace(state, phase=Phase.UNRECORDED, reason="deleted", question=OpenQuestion(), timer=Timer())
    return state, (Marker(at, "deleted", {"by": by} if by else {}), Do.DELETED, Do.DISCARD)


def hold(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Either side is put on hold."""
    return _drop(state, at) if _asks_to_delete(state) else keep_question.hold(state, at)


def break_off(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The party who was asked is no longer there."""
    return _drop(state, at) if _asks_to_delete(state) else keep_question.break_off(state, at)


def time_out(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time for the open question is over."""
    return _drop(state, at) if _asks_to_delete(state) else keep_question.time_out(state, at)


def _drop(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    return replace(state, question=OpenQuestion(), timer=Timer()), (Marker(at, "deletion_cancelled"),)
