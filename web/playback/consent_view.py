"""What the player says was agreed about a recording, from its verified manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.clock import from_iso


@dataclass(frozen=True, slots=True)
class Consented:
    """How it was agreed to record, where that was asked: ``mode`` ``opt-in`` or ``opt-out``; when, and with
    which key (``None``: with none); ``question`` is what was asked, empty where that is not known."""

    mode: str
    at: datetime | None
    key: str | None
    question: str


@dataclass(frozen=True, slots=True)
class KeepQuestionView:
    """A question in the call whether the recording may be kept.  ``at`` it was asked, ``place_ms`` is where
    in the audio; ``how`` is ``question`` or ``own_words``; ``text`` what was asked, empty in own words.
    ``answer`` is ``yes``, ``no``, ``none``, ``broken`` or ``None``, ``by`` and ``answered_how`` say whose.
    ``found``: the question is in the audio before the answer, where it was played.  ``voice_ms``: from where
    to where they were heard to answer, before a colleague confirmed it; ``unheard_at``: when a colleague did,
    and they had not been heard."""

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
    def theirs(self) -> bool:
        """Whether a yes is the outside party's, by their key or their voice."""
        return self.by != "internal" or self.voice_ms is not None


@dataclass(frozen=True, slots=True)
class KeptUntil:
    """What a yes keeps it for, and until when."""

    purpose: str
    until: datetime


def consented(body: Mapping[str, Any]) -> Consented | None:
    """``None`` where nothing was asked before it was recorded."""
    said = body["consent"]
    if said["mode"] == "notice":
        return None
    question = said["question"]
    at = None if said["at"] is None else from_iso(said["at"])
    return Consented(said["mode"], at, said["key"], question["text"] if question else "")


def asked(body: Mapping[str, Any]) -> tuple[KeepQuestionView, ...]:
    """The questions, in order."""
    return tuple(_asked(each) for each in body["keep_questions"])


def kept(body: Mapping[str, Any]) -> KeptUntil | None:
    """``None`` where nothing was agreed."""
    said = body["keep_consent"]
    return None if said is None else KeptUntil(said["purpose"], from_iso(said["until"]))


def _asked(one: Mapping[str, Any]) -> KeepQuestionView:
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
