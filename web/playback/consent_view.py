"""Consent and keep questions as the player shows them, read from the verified manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.clock import from_iso


@dataclass(frozen=True, slots=True)
class ConsentView:
    """Consent given before the recording: ``mode`` is ``opt-in`` or ``opt-out``; ``at`` is in UTC; ``key`` is
    the key pressed (``None``: none); ``question`` is the text played, empty if unknown."""

    mode: str
    at: datetime | None
    key: str | None
    question: str


@dataclass(frozen=True, slots=True)
class KeepQuestionView:
    """A keep question in the call.  ``at`` is when it was asked (UTC), ``place_ms`` its position in the
    audio; ``how`` is ``question`` or ``own_words``; ``text`` is the question played, empty for own words.
    ``answer`` is ``yes``, ``no``, ``none``, ``broken`` or ``None``; ``by`` and ``answered_how`` tell its
    source.  ``found``: a question that was played is in the audio before the answer.  ``voice_ms``: start and
    end of the spoken answer that a colleague then confirmed; ``unheard_at``: when a colleague confirmed one
    although no voice was heard."""

    at: datetime
    place_ms: int
    how: str
    text: str
    answer: str | None
    by: str | None
    answered_how: str | None
    answered_at: datetime | None
    confirmed: bool
    found: bool
    voice_ms: tuple[int, int] | None
    unheard_at: datetime | None

    @property
    def by_external_party(self) -> bool:
        """Whether the external party answered, by key or by voice."""
        return self.by != "internal" or self.voice_ms is not None


@dataclass(frozen=True, slots=True)
class KeepAgreement:
    """Purpose and expiry (UTC) that a yes agreed to."""

    purpose: str
    until: datetime


def consent(body: Mapping[str, Any]) -> ConsentView | None:
    """The consent given before the recording; ``None`` for a plain announcement."""
    facts = body["consent"]
    if facts["mode"] == "notice":
        return None
    question = facts["question"]
    at = None if facts["at"] is None else from_iso(facts["at"])
    return ConsentView(facts["mode"], at, facts["key"], question["text"] if question else "")


def keep_questions(body: Mapping[str, Any]) -> tuple[KeepQuestionView, ...]:
    """The call's keep questions, in order."""
    return tuple(_keep_question(each) for each in body["keep_questions"])


def keep_agreement(body: Mapping[str, Any]) -> KeepAgreement | None:
    """The agreement to keep the recording; ``None`` if there is none."""
    agreed = body["keep_consent"]
    return None if agreed is None else KeepAgreement(agreed["purpose"], from_iso(agreed["until"]))


def _keep_question(one: Mapping[str, Any]) -> KeepQuestionView:
    question = one["question"]
    found = question["found"] if question else None
    answered = one["answered_offset_ms"]
    return KeepQuestionView(
        at=from_iso(one["asked_at"]),
        place_ms=found["offset_ms"] if found else one["offset_ms"],
        how=one["how"],
        text=question["text"] if question else "",
        answer=one["answer"],
        by=one["by"],
        answered_how=one["answered_how"],
        answered_at=None if one["answered_at"] is None else from_iso(one["answered_at"]),
        confirmed=one["confirmed"],
        found=question is None
        or (found is not None and answered is not None and found["end_ms"] <= answered),
        voice_ms=None if one["voice"] is None else (one["voice"]["from_ms"], one["voice"]["to_ms"]),
        unheard_at=None if one["unheard_at"] is None else from_iso(one["unheard_at"]),
    )
