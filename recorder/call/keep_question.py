"""The keep question: may the recording be kept, so that it stays clear what was agreed?

A colleague's code begins it, or the line does once two speak. Both hear the question; the external party
answers with 1 or 2, or aloud, and then the colleague confirms the answer with 1 or 2. On some lines the
colleague asks in their own words instead. On a yes both hear that the recording is kept, on anything else
that it is not kept for that.

=========  ======================  ============================================================
state      meanwhile               outcome
=========  ======================  ============================================================
QUESTION   it plays to both        heard whole by both: ANSWER. 2 of either side: VERDICT at once;
                                   1 is no answer yet. A hold, another party, or a cut: broken,
                                   no answer
ANSWER     a key is awaited        1 or 2 of the external party, 2 of the colleague, or silence:
                                   VERDICT. 1 of the colleague: CHECK. The code again: QUESTION
                                   once more. Another party: broken
CHECK      the recording is        the external party's voice is in it: VERDICT. It is not, or not
           searched                in time: QUESTION once more; the second time nobody answered:
                                   VERDICT. 2 of either side: VERDICT at once
VERDICT    both hear the outcome   heard whole or not, the question is over. 2 of either side:
                                   VERDICT once more, unless it was a no
=========  ======================  ============================================================

A yes that a colleague confirms needs the external party's voice: without it, it would be the colleague's
alone.

The last answer stands, and silence is no yes; a question that was broken off changes nothing.

While the recording is paused nothing is asked, because an agreement that is not in the recording proves
nothing: the code plays the pause tone, and nothing else. A pause breaks off a question that has no answer
yet.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call.state import Actions, CallState, Do, OpenQuestion, QuestionStep, Timer
from recorder.call.transitions import playback_timeout, set_timer
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    LEGS,
    KeyPressed,
    SoundEnded,
    SoundStarted,
    VoiceChecked,
)
from recorder.domain.call_plan import KeepScript, Speech
from recorder.domain.markers import Marker

TIME_TO_ANSWER: Final = timedelta(seconds=20)
"""After the question, for the two to speak and one of them to press a key."""

TIME_TO_ASK: Final = timedelta(seconds=120)
"""For a question in the colleague's own words, and the answer."""

TIME_TO_CHECK: Final = timedelta(seconds=3)
"""For the search of the recording; without a result by then, no voice was found."""

NO: Final = "2"
ANSWERS: Final = {"1": "yes", NO: "no"}


def begin(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Open the keep question, on the colleague's code or by itself where the line says so."""
    keep = state.script.keep
    if (
        keep is None
        or not state.in_conversation
        or state.question.step not in (QuestionStep.IDLE, QuestionStep.ANSWER)
    ):
        return state, ()
    if state.pause.is_active(at):
        return state, (Do.END_PAUSE_TONE, Do.PAUSE_TONE)  # it starts again, and so is heard at once
    return _ask(state, keep, at)


def _ask(
    state: CallState, keep: KeepScript, at: datetime, *, again: bool = False
) -> tuple[CallState, Actions]:
    how = "question" if keep.question is not None else "own_words"
    marker = Marker(at, "keep_question_asked", {"how": how})
    if keep.question is None:
        question = OpenQuestion(QuestionStep.ANSWER, how=how, again=again)
        state = set_timer(replace(state, question=question), at, TIME_TO_ASK)
        return state, (marker, Do.KEEP_SINCE, Do.KEEP_CUE)
    question = OpenQuestion(QuestionStep.QUESTION, how=how, again=again)
    return _play(replace(state, question=question), keep.question, at, marker, Do.KEEP_ASK)


def _play(state: CallState, sound: Speech, at: datetime, *actions: Marker | Do) -> tuple[CallState, Actions]:
    question = replace(state.question, sound=sound.path, started_on=frozenset(), ended_on=frozenset())
    return set_timer(replace(state, question=question), at, playback_timeout(sound.length)), actions


def press_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """Either side pressed a key. A no counts at once, whatever plays; a yes of the colleague's once the
    external party's voice was found."""
    answer, step = ANSWERS.get(event.key), state.question.step
    if answer is None or event.leg not in LEGS or step is QuestionStep.IDLE:
        return state, ()
    cut: Actions = ()
    if step not in (QuestionStep.ANSWER, QuestionStep.CHECK):
        if answer != "no" or (step is QuestionStep.VERDICT and state.keep_answer == "no"):
            return state, ()
        cut = (Do.KEEP_CUT,)
    elif event.leg == INTERNAL and answer == "yes":
        if step is QuestionStep.CHECK:
            return state, ()
        question = replace(state.question, step=QuestionStep.CHECK, pressed=event.at)
        return set_timer(replace(state, question=question), event.at, TIME_TO_CHECK), (Do.KEEP_CHECK,)
    how = _how(state, event.leg)
    state, actions = _answer(state, event.at, answer, event.at, by=event.leg, how=how)
    return state, (*cut, *actions)


def _how(state: CallState, leg: str) -> str:
    return "key" if leg == EXTERNAL else "own_words" if state.question.how == "own_words" else "aloud"


def apply_voice_check(state: CallState, event: VoiceChecked) -> tuple[CallState, Actions]:
    """The recording was searched up to the colleague's key."""
    pressed = state.question.pressed
    if state.question.step is not QuestionStep.CHECK or pressed is None:
        return state, ()
    if event.voice is None:
        return _ask_again(state, event.at, pressed)
    start, end = event.voice
    voice = {"voice_from_ms": str(start), "voice_to_ms": str(end)}
    return _answer(state, event.at, "yes", pressed, by=INTERNAL, how=_how(state, INTERNAL), **voice)


def _ask_again(state: CallState, at: datetime, pressed: datetime) -> tuple[CallState, Actions]:
    """No voice was found: ask once more; the second time nobody answered."""
    keep = state.script.keep
    marker = Marker(pressed, "keep_answer_unheard")
    if keep is not None and state.in_conversation and not state.question.again:
        state, actions = _ask(state, keep, at, again=True)
    else:
        state, actions = _answer(state, at, "none", at)
    return state, (marker, *actions)


def _answer(
    state: CallState, now: datetime, answer: str, at: datetime, **data: str
) -> tuple[CallState, Actions]:
    keep = state.script.keep
    assert keep is not None  # without it no question opens
    marker = Marker(at, "keep_question_answered", {"answer": answer, **data})
    question = replace(state.question, step=QuestionStep.VERDICT)
    state = replace(state, keep_answer="yes" if answer == "yes" else "no", question=question)
    return _play(state, _verdict_sound(keep, answer), now, marker, _VERDICT_ORDERS[answer])


_VERDICT_ORDERS: Final = {"yes": Do.KEEP_YES, "no": Do.KEEP_NO, "none": Do.KEEP_NONE}


def _verdict_sound(keep: KeepScript, answer: str) -> Speech:
    """Return the sound that plays to both after an answer."""
    return {"yes": keep.yes, "no": keep.no}.get(answer, keep.none)


def follow_sound(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound started or ended on one leg; each leg plays and reports its own."""
    question = state.question
    if (
        question.step not in (QuestionStep.QUESTION, QuestionStep.VERDICT)
        or event.sound != question.sound
        or event.leg not in LEGS
    ):
        return state, ()
    if isinstance(event, SoundStarted):
        return replace(state, question=replace(question, started_on=question.started_on | {event.leg})), ()
    if event.leg not in question.started_on:
        return state, ()
    if not event.complete or event.hangup:
        return break_off(state, event.at)
    question = replace(question, ended_on=question.ended_on | {event.leg})
    state = replace(state, question=question)
    if question.ended_on != frozenset(LEGS):
        return state, ()
    if question.step is QuestionStep.VERDICT:
        return _close(state), (Marker(event.at, "keep_answer_confirmed", {"answer": state.keep_answer}),)
    state = set_timer(
        replace(state, question=replace(question, step=QuestionStep.ANSWER)), event.at, TIME_TO_ANSWER
    )
    return state, (Marker(event.at, "keep_question_heard"), Do.KEEP_SINCE)


def hold(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Either side holds the call: a sound that plays is not heard by both."""
    if state.question.step in (QuestionStep.ANSWER, QuestionStep.CHECK):
        return state, ()  # the answer may come after the hold
    return break_off(state, at)


def pause(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The recording is paused: break off a question without an answer. The outcome of an answer plays to its
    end."""
    is_open = state.question.step in (QuestionStep.QUESTION, QuestionStep.ANSWER, QuestionStep.CHECK)
    return break_off(state, at) if is_open else (state, ())


def break_off(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Close the question: it has no answer, or its outcome was not heard."""
    step = state.question.step
    if step is QuestionStep.IDLE:
        return state, ()
    kind = "keep_answer_unconfirmed" if step is QuestionStep.VERDICT else "keep_question_interrupted"
    return _close(state), (Marker(at, kind),)


def time_out(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time to wait is over."""
    if state.question.step is QuestionStep.ANSWER:
        return _answer(state, at, "none", at)
    if state.question.step is QuestionStep.CHECK:
        return _ask_again(state, at, state.question.pressed or at)
    return break_off(state, at)


def _close(state: CallState) -> CallState:
    return replace(state, question=OpenQuestion(), timer=Timer())
