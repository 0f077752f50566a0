"""Consent to record a call, consent to keep the recording, and the rule for when the latter counts.

A yes to the keep question counts only after a question: by the markers, and for a question that was played
also by the audio, in which it must be whole and before the answer.  A yes that a colleague confirmed counts
only where the external party's voice was found between question and confirmation.  No yes counts in an
unannounced recording.  :func:`is_keep_consented` is the only place of this rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from recorder.audio.encoded_take import Encoded, LocatedAnnouncement, Prompt
from recorder.audio.keep_answers import (
    BROKEN,
    BY,
    HOW,
    INTERNAL,
    NO,
    NONE,
    OWN_WORDS,
    QUESTION,
    YES,
    Question,
    questions,
)
from recorder.clock import truncate
from recorder.domain.call_plan import MODES, NOTICE, OPT_IN
from recorder.domain.line_policy import Keep
from recorder.domain.markers import LocatedMarker
from recorder.domain.sentences import TimedSentence
from recorder.strict_json import Natural, Positive, Sha256, Strict, Time, one_of

ANSWERS = (YES, NO, NONE)
"""The answers, silence included."""


@dataclass(frozen=True, slots=True)
class SealedSentence(Strict):
    """A sentence to be played: its text, and the SHA-256 of its sound."""

    text: str
    sound_sha256: Sha256


@dataclass(frozen=True, slots=True)
class PlayedSentence(SealedSentence):
    """A sentence with its place in the right channel; ``found`` is ``None`` where it is not there whole."""

    found: LocatedAnnouncement | None


@dataclass(frozen=True, slots=True)
class Consent(Strict):
    """The consent to recording: the line's ``mode`` and, where it asks, the ``answer`` (``yes`` in opt-in;
    ``none``, nobody refused, in opt-out), the ``key`` that was pressed, its time, and the question
    (``None`` where the line has none)."""

    mode: Annotated[str, one_of(MODES)]
    answer: str | None
    key: str | None
    at: Time | None
    question: SealedSentence | None

    @property
    def allows(self) -> bool:
        """Whether the recording may be used as announced: in opt-in only after a recorded yes."""
        if self.mode == NOTICE:
            return True
        return self.answer == YES if self.mode == OPT_IN else self.answer in (None, NONE)


@dataclass(frozen=True, slots=True)
class HeardVoice(Strict):
    """The place of the external party's spoken answer in the left channel, in milliseconds of audio."""

    from_ms: Natural
    to_ms: Natural


@dataclass(frozen=True, slots=True)
class KeepQuestion(Strict):
    """A keep question and its answer.  Offsets are milliseconds of audio.

    ``how``: ``question`` (played to both) or ``own_words`` (then there is no ``question``).
    ``answer``: ``yes``, ``no``, ``none`` (silence), ``broken`` (not heard whole, or nobody could answer),
    ``None`` (nothing was recorded).  ``by`` is ``external`` or ``internal``, ``answered_how`` is ``key``,
    ``aloud`` or ``own_words``.  ``voice``: the external party's voice before a colleague
    confirmed a yes; ``unheard_at``: when a colleague confirmed a yes without it, which is no answer.
    ``confirmed``: both heard the ``confirmation`` of the answer to its end."""

    asked_at: Time
    offset_ms: Natural
    how: Annotated[str, one_of((QUESTION, OWN_WORDS))]
    question: PlayedSentence | None
    answer: Annotated[str, one_of((*ANSWERS, BROKEN))] | None
    by: Annotated[str, one_of(BY)] | None
    answered_how: Annotated[str, one_of(HOW)] | None
    answered_at: Time | None
    answered_offset_ms: Natural | None
    voice: HeardVoice | None
    unheard_at: Time | None
    confirmed: bool
    confirmation: PlayedSentence | None

    @property
    def is_question_heard(self) -> bool:
        """Whether the question was heard before the answer; a played one must be whole in the audio."""
        if self.how == OWN_WORDS:
            return True
        found = None if self.question is None else self.question.found
        return (
            found is not None
            and self.answered_offset_ms is not None
            and found.end_ms <= self.answered_offset_ms
        )

    @property
    def is_external(self) -> bool:
        """Whether a yes is the external party's own: their key, or their voice before a colleague's key."""
        return self.by != INTERNAL or self.voice is not None


@dataclass(frozen=True, slots=True)
class KeepConsent(Strict):
    """The purpose that a yes adds to the announced ones: its ``code``, retention in days, and end."""

    code: Annotated[str, Field(alias="purpose")]
    keep_days: Positive
    until: Time


def is_keep_consented(announced: bool, keep_questions: Sequence[KeepQuestion]) -> bool:
    """Whether the external party consented to keep the recording: it is announced, the last answer is yes and
    their own, and its question was heard first.  An interrupted question, or one without a recorded end,
    changes nothing."""
    last = next((each for each in reversed(keep_questions) if each.answer in ANSWERS), None)
    yes = announced and last is not None and last.answer == YES
    return yes and last is not None and last.is_question_heard and last.is_external


def consent(encoded: Encoded) -> Consent:
    """Return the consent to recording, from a take's markers."""
    start = encoded.take.start
    if start.mode == NOTICE:
        return Consent(NOTICE, None, None, None, None)
    question = None if start.question is None else SealedSentence(start.question.text, start.question.sha256)
    answers = [marker for marker in encoded.take.markers if marker.kind == "question_answered"]
    last = next((marker for marker in reversed(answers) if marker.data.get("question") == "recording"), None)
    if last is None or "answer" not in last.data:
        return Consent(start.mode, None, None, None, question)
    return Consent(start.mode, last.data["answer"], last.data.get("key"), truncate(last.at), question)


def keep_questions(encoded: Encoded) -> tuple[KeepQuestion, ...]:
    """Return the keep questions of a take in order, each with its answer."""
    keep = encoded.take.start.keep
    if keep is None:
        return ()
    found = {(prompt.number, prompt.which): _place(prompt) for prompt in encoded.prompts}
    length = encoded.duration_ms
    return tuple(
        _agreement(one, keep, length, found.get((number, "question")), found.get((number, one.answer or "")))
        for number, one in enumerate(questions(encoded.markers))
        if one.how == OWN_WORDS or keep.question is not None
    )


def keep_consent(
    announced: bool, questions: Sequence[KeepQuestion], keep: Keep | None, since: datetime
) -> KeepConsent | None:
    """Return the keep consent, its retention counted from ``since``; ``None`` where there is none."""
    if keep is None or not is_keep_consented(announced, questions):
        return None
    return KeepConsent(keep.purpose, keep.keep_days, since + timedelta(days=keep.keep_days))


def find_consent_contradiction(consent: Consent, announced: bool) -> str | None:
    """Return the contradiction in a consent, or ``None``."""
    answer = (consent.answer, consent.key, consent.at)
    if consent.mode == NOTICE and (consent.question is not None or any(each is not None for each in answer)):
        return "nothing is asked where there is only a notice"
    if (consent.answer is None) != (consent.at is None) or (consent.key is not None and consent.at is None):
        return "the answer whether to record has no time, or the time no answer"
    if announced and not consent.allows:
        return "nobody agreed that it is recorded"
    return None


def find_contradiction(keep_questions: Iterable[KeepQuestion], duration_ms: int) -> str | None:
    """Return the first contradiction in keep questions and answers, or ``None``."""
    latest = 0
    for one in keep_questions:
        answered = one.answered_offset_ms
        if not latest <= one.offset_ms <= (duration_ms if answered is None else answered) <= duration_ms:
            return "a question or its answer lies outside the audio, or before what came before it"
        latest = one.offset_ms if answered is None else answered
        if any(
            each is not None and not _inside(each.found, duration_ms)
            for each in (one.question, one.confirmation)
        ):
            return "what was played lies outside the audio"
        if (one.how == QUESTION) != (one.question is not None):
            return "a question was played that there is not, or not played"
        if (why := _contradiction_in_answer(one) or _contradiction_in_voice(one, duration_ms)) is not None:
            return why
    return None


def _contradiction_in_answer(one: KeepQuestion) -> str | None:
    has_answer = one.answer in ANSWERS
    if any(
        (each is not None) != has_answer
        for each in (one.answered_at, one.answered_offset_ms, one.confirmation)
    ):
        return "an answer has no time or place, or there is none that has"
    if any((each is not None) != (one.answer in (YES, NO)) for each in (one.by, one.answered_how)):
        return "a yes or no is nobody's, or nobody's answer somebody's"
    if one.confirmed and not has_answer:
        return "it was told what was answered, and nothing was"
    return None


def _contradiction_in_voice(one: KeepQuestion, duration_ms: int) -> str | None:
    if one.unheard_at is not None and one.answer == YES:
        return "somebody answered who was not heard"
    if one.voice is None:
        return None
    if one.answer != YES or one.by != INTERNAL:
        return "somebody was heard where no colleague confirmed it"
    found = None if one.question is None else one.question.found
    since = one.offset_ms if found is None else found.end_ms
    if not since <= one.voice.from_ms < one.voice.to_ms <= duration_ms:
        return "who answered was heard outside the audio, or before the question's end"
    return None


def _inside(found: LocatedAnnouncement | None, duration_ms: int) -> bool:
    return found is None or 0 <= found.offset_ms < found.end_ms <= duration_ms


def _agreement(
    one: Question[LocatedMarker],
    keep: Keep,
    duration_ms: int,
    question: LocatedAnnouncement | None,
    confirmation: LocatedAnnouncement | None,
) -> KeepQuestion:
    answer = one.answered
    since = one.start.offset_ms if question is None else question.end_ms
    return KeepQuestion(
        asked_at=truncate(one.start.at),
        offset_ms=one.start.offset_ms,
        how=one.how,
        question=None if one.how == OWN_WORDS else _played(keep.question, question),
        answer=one.answer,
        by=None if answer is None else answer.data.get("by"),
        answered_how=None if answer is None else answer.data.get("how"),
        answered_at=None if answer is None else truncate(answer.at),
        answered_offset_ms=None if answer is None else answer.offset_ms,
        voice=None if one.voice_ms is None else _voice(*one.voice_ms, since, duration_ms),
        unheard_at=None if one.unheard is None else truncate(one.unheard.at),
        confirmed=one.confirmed is not None,
        confirmation=None if answer is None else _played(_verdict(keep, answer.data["answer"]), confirmation),
    )


def _voice(first: int, end: int, since: int, duration_ms: int) -> HeardVoice | None:
    """Return the part of the voice that lies in the audio and after the question."""
    first, end = max(first, since), min(end, duration_ms)
    return HeardVoice(first, end) if first < end else None


def _verdict(keep: Keep, answer: str) -> TimedSentence:
    return {YES: keep.yes, NO: keep.no}.get(answer, keep.none)


def _played(words: TimedSentence | None, found: LocatedAnnouncement | None) -> PlayedSentence | None:
    return None if words is None else PlayedSentence(words.text, words.sha256, found)


def _place(prompt: Prompt) -> LocatedAnnouncement:
    return LocatedAnnouncement(prompt.offset_ms, prompt.end_ms, round(prompt.score, 6))
