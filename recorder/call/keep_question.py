"""The agreement in the call: may the recording be kept, so that it stays clear what was agreed?

A colleague's code begins it, or the line by itself once they speak.  Both hear the question; the outside
party answers with 1 or 2, or aloud, and then the colleague says with 1 or 2 what it was.  Or, by line, the
colleague asks in their own words, and 1 or 2 says what came of it.  On a yes both hear that it will be kept,
on anything else that it will not be for that.

=========  ======================  ============================================================
            while                  what can come of it
=========  ======================  ============================================================
QUESTION   it plays to both        heard whole by both: ANSWER.  2 of either side: VERDICT, at once;
                                   1 is no answer yet.  A hold, another at the other end, or its
                                   being cut: broken, no answer
ANSWER     a key is waited for     1 or 2 of theirs, 2 of the colleague's, or silence: VERDICT.  1 of the
                                   colleague's: CHECK.  The code again: QUESTION once more.  Another at
                                   the other end: broken
CHECK      the sound is looked     they said something since the question: VERDICT.  They did not, or it is
           through                 not known in time: QUESTION once more; the second time nobody answered,
                                   VERDICT.  2 of either side: VERDICT, at once
VERDICT    both hear what it was   told, or not heard whole; then all can begin anew.  2 of either
                                   side: VERDICT once more, unless it was a no
=========  ======================  ============================================================

That a colleague says yes for them is none without their voice: it would be the colleague's alone.

The last answer stands, and silence is no yes; a question that was broken off changes nothing.

While the recording is paused nothing is asked, for what is not in the sound shows no agreement: the code
gives the tone that says so, and nothing else.  A pause breaks off a question that has no answer yet.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call.state import Actions, CallState, Do, OpenQuestion, QuestionStep, Timer, WriteMark
from recorder.call.transitions import patience, until
from recorder.domain.call_events import (
    COLLEAGUE,
    LEGS,
    OUTSIDE,
    KeyPressed,
    SoundEnded,
    SoundStarted,
    VoiceChecked,
)
from recorder.domain.call_plan import KeepScript, Speech

TIME_TO_ANSWER: Final = timedelta(seconds=20)
"""After the question: they speak with each other, and somebody presses a key."""

TIME_TO_ASK: Final = timedelta(seconds=120)
"""For a question in the colleague's own words, and the answer."""

TIME_TO_CHECK: Final = timedelta(seconds=3)
"""For whether they were heard; not known by then, they were not."""

NO: Final = "2"
ANSWERS: Final = {"1": "yes", NO: "no"}


def begin(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The colleague's code, or the line's own question once they speak."""
    keep = state.script.keep
    if (
        keep is None
        or not state.talking
        or state.question.step not in (QuestionStep.IDLE, QuestionStep.ANSWER)
    ):
        return state, ()
    if state.pause.is_active(at):
        return state, (Do.PAUSE_OVER, Do.PAUSE_TONE)  # it begins anew, and so is heard at once
    return _ask(state, keep, at)


def _ask(
    state: CallState, keep: KeepScript, at: datetime, *, again: bool = False
) -> tuple[CallState, Actions]:
    how = "question" if keep.question is not None else "own_words"
    note = WriteMark("keep_asked", at, (("how", how),))
    if keep.question is None:
        asked = OpenQuestion(QuestionStep.ANSWER, how=how, again=again)
        return until(replace(state, question=asked), at, TIME_TO_ASK), (note, Do.KEEP_SINCE, Do.KEEP_CUE)
    asked = OpenQuestion(QuestionStep.QUESTION, how=how, again=again)
    return _say(replace(state, question=asked), keep.question, at, note, Do.KEEP_ASK)


def _say(
    state: CallState, sound: Speech, at: datetime, *actions: WriteMark | Do
) -> tuple[CallState, Actions]:
    asked = replace(state.question, sound=sound.path, began=frozenset(), heard=frozenset())
    return until(replace(state, question=asked), at, patience(sound.length)), actions


def key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """A key of either side: a no counts at once, whatever plays; a yes that the colleague says for them once
    their voice was found."""
    answer, step = ANSWERS.get(event.key), state.question.step
    if answer is None or event.leg not in LEGS or step is QuestionStep.IDLE:
        return state, ()
    cut: Actions = ()
    if step not in (QuestionStep.ANSWER, QuestionStep.CHECK):
        if answer != "no" or (step is QuestionStep.VERDICT and state.keep_answer == "no"):
            return state, ()
        cut = (Do.KEEP_CUT,)
    elif event.leg == COLLEAGUE and answer == "yes":
        if step is QuestionStep.CHECK:
            return state, ()
        asked = replace(state.question, step=QuestionStep.CHECK, pressed=event.at)
        return until(replace(state, question=asked), event.at, TIME_TO_CHECK), (Do.KEEP_CHECK,)
    by = (("by", event.leg), ("how", _how(state, event.leg)))
    state, actions = _answered(state, event.at, answer, event.at, *by)
    return state, (*cut, *actions)


def _how(state: CallState, leg: str) -> str:
    return "key" if leg == OUTSIDE else "own_words" if state.question.how == "own_words" else "aloud"


def checked(state: CallState, event: VoiceChecked) -> tuple[CallState, Actions]:
    """The sound was looked through, up to the colleague's key."""
    pressed = state.question.pressed
    if state.question.step is not QuestionStep.CHECK or pressed is None:
        return state, ()
    if event.voice is None:
        return _unheard(state, event.at, pressed)
    where = (("voice_from_ms", str(event.voice[0])), ("voice_to_ms", str(event.voice[1])))
    by = (("by", COLLEAGUE), ("how", _how(state, COLLEAGUE)))
    return _answered(state, event.at, "yes", pressed, *by, *where)


def _unheard(state: CallState, at: datetime, pressed: datetime) -> tuple[CallState, Actions]:
    """Nobody was heard to say so: asked once more, and then nobody answered."""
    keep = state.script.keep
    note = WriteMark("keep_unheard", pressed)
    if keep is not None and state.talking and not state.question.again:
        state, actions = _ask(state, keep, at, again=True)
    else:
        state, actions = _answered(state, at, "none", at)
    return state, (note, *actions)


def _answered(
    state: CallState, now: datetime, answer: str, at: datetime, *more: tuple[str, str]
) -> tuple[CallState, Actions]:
    keep = state.script.keep
    assert keep is not None  # without it nothing is asked
    note = WriteMark("keep_answered", at, (("answer", answer), *more))
    asked = replace(state.question, step=QuestionStep.VERDICT)
    state = replace(state, keep_answer="yes" if answer == "yes" else "no", question=asked)
    return _say(state, verdict(keep, answer), now, note, _SAY[answer])


_SAY: Final = {"yes": Do.KEEP_YES, "no": Do.KEEP_NO, "none": Do.KEEP_NONE}


def verdict(keep: KeepScript, answer: str) -> Speech:
    """What both hear of an answer."""
    return {"yes": keep.yes, "no": keep.no}.get(answer, keep.none)


def sounded(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound began or ended on one leg: each plays its own, and tells of it."""
    asked = state.question
    if (
        asked.step not in (QuestionStep.QUESTION, QuestionStep.VERDICT)
        or event.sound != asked.sound
        or event.leg not in LEGS
    ):
        return state, ()
    if isinstance(event, SoundStarted):
        return replace(state, question=replace(asked, began=asked.began | {event.leg})), ()
    if event.leg not in asked.began:
        return state, ()
    if not event.complete or event.ending:
        return broken(state, event.at)
    asked = replace(asked, heard=asked.heard | {event.leg})
    state = replace(state, question=asked)
    if asked.heard != frozenset(LEGS):
        return state, ()
    if asked.step is QuestionStep.VERDICT:
        return _over(state), (WriteMark("keep_told", event.at, (("answer", state.keep_answer),)),)
    state = until(replace(state, question=replace(asked, step=QuestionStep.ANSWER)), event.at, TIME_TO_ANSWER)
    return state, (WriteMark("keep_question_heard", event.at), Do.KEEP_SINCE)


def disturbed(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold, or somebody else at the other end: what plays is not heard by both, and what is answered is not
    answered to each other."""
    if state.question.step in (QuestionStep.ANSWER, QuestionStep.CHECK):
        return state, ()  # they may come back to it
    return broken(state, at)


def paused(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """What is said from now on is not in the sound.  What came of an answer is said to its end."""
    waiting = state.question.step in (QuestionStep.QUESTION, QuestionStep.ANSWER, QuestionStep.CHECK)
    return broken(state, at) if waiting else (state, ())


def broken(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """No answer came of it, or it was not heard what came of it."""
    step = state.question.step
    if step is QuestionStep.IDLE:
        return state, ()
    kind = "keep_untold" if step is QuestionStep.VERDICT else "keep_broken"
    return _over(state), (WriteMark(kind, at),)


def waited(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time for what it waits for is over."""
    if state.question.step is QuestionStep.ANSWER:
        return _answered(state, at, "none", at)
    if state.question.step is QuestionStep.CHECK:
        return _unheard(state, at, state.question.pressed or at)
    return broken(state, at)


def _over(state: CallState) -> CallState:
    return replace(state, question=OpenQuestion(), timer=Timer())
