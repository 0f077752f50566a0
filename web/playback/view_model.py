"""What the player says about a recording, from its verified manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.clock import from_iso
from recorder.playback.interface import SOUNDS
from recorder.seal.duration_check import unexplained_ms
from web.playback import consent_view
from web.playback.consent_view import Consented, KeepQuestionView, KeptUntil
from web.text import eavesdrop

TOLD, ASKED, SPOKEN, NOTED = "told", "asked", "spoken", "moment_marked"
JOINED: Final = ("transfer_question_finished", "transfer_question_answered", "transfer_question_refused")
"""Of a colleague who joined later and was asked."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A gap on one lane (``left``, ``right``) or ``both``, in milliseconds of audio.  ``reason`` says why;
    where begin and end are the same, :data:`TOLD` is the end of the announcement, :data:`ASKED` a
    question whether it may be kept, which is ``asked``, :data:`SPOKEN` where they begin to answer it aloud,
    :data:`NOTED` a moment that a colleague noted, and
    one of :data:`JOINED` what was asked of who joined, with their ``answer``, if this is one; one of
    ``listened.KINDS`` somebody who listened, with who heard them as the ``answer``."""

    start_ms: int
    end_ms: int
    channel: str
    reason: str
    asked: KeepQuestionView | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as the player shows it.  Milliseconds are of audio, times UTC; ``marks`` are the gaps,
    the announcement's end, the questions and the noted moments in the order in which they are heard.
    ``missing_ms``: by how much the sound is shorter than the call was (negative: longer) for no reason that
    ``gaps`` tell."""

    recording: str
    duration_ms: int
    started_at: datetime
    sealed_at: datetime
    keep_until: datetime
    announcement_text: str
    announcement_language: str
    announcement_end_ms: int
    gaps: tuple[Stretch, ...]
    marks: tuple[Stretch, ...]
    sounds: tuple[tuple[str, str], ...]
    has_peaks: bool
    consented: Consented | None
    kept: KeptUntil | None
    missing_ms: int


def from_manifest(body: Mapping[str, Any]) -> Heard:
    """Everything here was signed; nothing is taken from a row that could say something else."""
    told = body["announcement"]
    objects = {each["name"]: each["media_type"] for each in body["objects"]}
    gaps = tuple(
        Stretch(gap["start_ms"], gap["end_ms"], gap["channel"], gap["reason"]) for gap in body["gaps"]
    )
    end = (Stretch(told["end_ms"], told["end_ms"], "both", TOLD),) if told else ()
    questions = tuple(
        Stretch(each.place_ms, each.place_ms, "both", ASKED, each) for each in consent_view.asked(body)
    )
    spoken = tuple(
        Stretch(each.asked.voice_ms[0], each.asked.voice_ms[0], "left", SPOKEN)
        for each in questions
        if each.asked is not None and each.asked.voice_ms is not None
    )
    noted = tuple(
        Stretch(
            each["offset_ms"],
            each["offset_ms"],
            "both",
            each["kind"],
            answer=eavesdrop.answer(each)
            if each["kind"] in eavesdrop.KINDS
            else str(each["data"].get("answer", "")),
        )
        for each in body["markers"]
        if each["kind"] in (NOTED, *JOINED, *eavesdrop.KINDS)
    )
    return Heard(
        recording=body["recording"],
        duration_ms=body["duration_ms"],
        started_at=from_iso(body["started_at"]),
        sealed_at=from_iso(body["sealed_at"]),
        keep_until=from_iso(body["keep_until"]),
        announcement_text=told["text"] if told else "",
        announcement_language=told["language"] if told else "",
        announcement_end_ms=told["end_ms"] if told else 0,
        gaps=gaps,
        marks=tuple(sorted((*gaps, *end, *questions, *spoken, *noted), key=_order)),
        sounds=tuple((name, objects[name]) for name in SOUNDS if name in objects),
        has_peaks="peaks" in objects,
        consented=consent_view.consented(body),
        kept=consent_view.kept(body),
        missing_ms=unexplained_ms(body),
    )


def _order(mark: Stretch) -> tuple[int, bool]:
    """A gap is told at its end, but for what plays to both: that follows its question."""
    return mark.start_ms if mark.reason == "prompt" else mark.end_ms, mark.reason != ASKED
