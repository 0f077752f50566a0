"""Reads the keep questions of a call and their answers from its marks.

The daemon writes the marks as they happen (``call/keep_question.py``), so a killed one leaves a question
without an answer. A no counts at once, even before the question ends and while a yes is being confirmed; a
yes counts only after the question. An answer without a question is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from recorder.domain.markers import Marker

QUESTION, OWN_WORDS = "question", "own_words"
"""How the question was asked: by the sound that plays to both, or by the colleague."""

YES, NO, NONE, BROKEN = "yes", "no", "none", "broken"
"""The answer; ``none`` is silence, and ``broken`` a question that was not heard whole or could not be
answered."""

BY: Final = ("external", "internal")
INTERNAL = BY[1]
BY_KEY, ALOUD = "key", "aloud"
HOW: Final = (BY_KEY, ALOUD, OWN_WORDS)
"""How it was answered: by the external party's key, or by a colleague's after a spoken answer or after their
own words."""

PLAYED: Final = ("keep_question_heard", "keep_answer_confirmed")
"""The ends of prompts that both heard whole."""


M = TypeVar("M", bound=Marker)


@dataclass(frozen=True, slots=True)
class Question(Generic[M]):
    """One keep question, by its marks: ``sound_end`` is the end of its sound, ``interruption`` ends it
    without an answer, ``confirmed`` is the end of the outcome's sound, and ``unheard`` a colleague's yes
    without the external party's voice. Each is ``None`` if there is no such mark."""

    start: M
    sound_end: M | None = None
    interruption: M | None = None
    answered: M | None = None
    confirmed: M | None = None
    unheard: M | None = None

    @property
    def how(self) -> str:
        """``question`` or ``own_words``."""
        return self.start.data["how"]

    @property
    def answer(self) -> str | None:
        """The answer; ``None`` if there is no mark of it: the daemon was away, or the question was
        repeated."""
        if self.answered is not None:
            return self.answered.data["answer"]
        return None if self.interruption is None else BROKEN

    def then(self, mark: M) -> Question[M]:
        """The question with the next mark; unchanged if that mark does not follow from it."""
        over = self.answered is not None or self.interruption is not None
        if mark.kind == "keep_answer_confirmed":
            return replace(self, confirmed=mark) if self.answered and not self.confirmed else self
        no = _is_answer(mark) and mark.data["answer"] == NO
        if over:
            # During the confirmation.
            is_unconfirmed = self.answer in (YES, NONE) and not self.confirmed
            return replace(self, answered=mark) if no and is_unconfirmed else self
        if self.unheard is not None and mark.data.get("answer") != NONE:
            return self  # repeated: a new question
        if mark.kind == "keep_question_interrupted":
            return replace(self, interruption=mark)
        if self.how == QUESTION and self.sound_end is None and not no:
            return replace(self, sound_end=mark) if mark.kind == "keep_question_heard" else self
        if mark.kind == "keep_answer_unheard" and self.unheard is None:
            return replace(self, unheard=mark)
        return replace(self, answered=mark) if _is_answer(mark) else self

    @property
    def voice_ms(self) -> tuple[int, int] | None:
        """Where the external party's voice was found before a colleague confirmed a yes, in milliseconds of
        audio."""
        reply = self.answered
        if reply is None or reply.data.get("by") != INTERNAL or reply.data["answer"] != YES:
            return None
        first, end = (reply.data.get(name, "") for name in ("voice_from_ms", "voice_to_ms"))
        if not all(re.fullmatch("[0-9]{1,9}", each, re.ASCII) for each in (first, end)):
            return None
        return (int(first), int(end)) if int(first) < int(end) else None


def questions(marks: Iterable[M]) -> tuple[Question[M], ...]:
    """The questions of a call, in the order of its marks."""
    found: list[Question[M]] = []
    for mark in marks:
        if mark.kind == "keep_question_asked" and mark.data.get("how") in (QUESTION, OWN_WORDS):
            found.append(Question(mark))
        elif found and mark.kind.startswith("keep_"):
            found[-1] = found[-1].then(mark)
    return tuple(found)


def _is_answer(mark: Marker) -> bool:
    """Whether a mark is a complete answer: silence has no author, a yes or no has one."""
    answer, by, how = (mark.data.get(name) for name in ("answer", "by", "how"))
    if mark.kind != "keep_question_answered":
        return False
    return (by is None and how is None) if answer == NONE else answer in (YES, NO) and by in BY and how in HOW
