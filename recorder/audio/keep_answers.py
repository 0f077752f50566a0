"""Reads the keep questions of a call and their answers from its markers.

The daemon writes the markers as they happen (``call/keep_question.py``), so a killed one leaves a question
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
    """One keep question, by its markers: ``sound_end`` is the end of its sound, ``interruption`` ends it
    without an answer, ``confirmed`` is the end of the outcome's sound, and ``unheard`` a colleague's yes
    without the external party's voice. Each is ``None`` if there is no such marker."""

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
        """The answer; ``None`` if there is no marker of it: the daemon was away, or the question was
        repeated."""
        if self.answered is not None:
            return self.answered.data["answer"]
        return None if self.interruption is None else BROKEN

    def then(self, marker: M) -> Question[M]:
        """The question with the next marker; unchanged if that marker does not follow from it."""
        over = self.answered is not None or self.interruption is not None
        if marker.kind == "keep_answer_confirmed":
            return replace(self, confirmed=marker) if self.answered and not self.confirmed else self
        no = _is_answer(marker) and marker.data["answer"] == NO
        if over:
            # During the confirmation.
            is_unconfirmed = self.answer in (YES, NONE) and not self.confirmed
            return replace(self, answered=marker) if no and is_unconfirmed else self
        if self.unheard is not None and marker.data.get("answer") != NONE:
            return self  # repeated: a new question
        if marker.kind == "keep_question_interrupted":
            return replace(self, interruption=marker)
        if self.how == QUESTION and self.sound_end is None and not no:
            return replace(self, sound_end=marker) if marker.kind == "keep_question_heard" else self
        if marker.kind == "keep_answer_unheard" and self.unheard is None:
            return replace(self, unheard=marker)
        return replace(self, answered=marker) if _is_answer(marker) else self

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


def questions(markers: Iterable[M]) -> tuple[Question[M], ...]:
    """The questions of a call, in the order of its markers."""
    found: list[Question[M]] = []
    for marker in markers:
        if marker.kind == "keep_question_asked" and marker.data.get("how") in (QUESTION, OWN_WORDS):
            found.append(Question(marker))
        elif found and marker.kind.startswith("keep_"):
            found[-1] = found[-1].then(marker)
    return tuple(found)


def _is_answer(marker: Marker) -> bool:
    """Whether a marker is a complete answer: silence has no author, a yes or no has one."""
    answer, by, how = (marker.data.get(name) for name in ("answer", "by", "how"))
    if marker.kind != "keep_question_answered":
        return False
    return (by is None and how is None) if answer == NONE else answer in (YES, NO) and by in BY and how in HOW
