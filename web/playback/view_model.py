"""A recording as the player shows it, read from the verified manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.clock import from_iso
from recorder.features.notes.service import NoteRow
from recorder.playback.interface import SOUNDS
from recorder.seal.duration_check import unexplained_ms
from web.playback import consent_view
from web.playback.consent_view import ConsentView, KeepAgreement, KeepQuestionView
from web.text import eavesdrop

ANNOUNCEMENT_END: Final = "announcement_end"
KEEP_QUESTION: Final = "keep_question"
SPOKEN_ANSWER: Final = "spoken_answer"
MOMENT_MARKED: Final = "moment_marked"
WRITTEN_NOTE: Final = "note"
PARTICIPANT_KINDS: Final = (
    "transfer_question_finished",
    "transfer_question_answered",
    "transfer_question_refused",
)
"""Kinds of markers about a transfer target who was asked for consent."""
JOINED_KINDS: Final = ("participant_joined", "participant_left")
"""Kinds of markers about people who joined or left the call."""
OTHER_RECORDING_KINDS: Final = ("other_recording_started", "other_recording_stopped")
"""Kinds of markers about a recording by the telephone system itself."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A gap or a marker on the timeline, in ms of audio; ``channel`` is ``left``, ``right`` or ``both``.

    ``reason`` is a gap's reason or, for a marker (start equals end), its kind: :data:`ANNOUNCEMENT_END`;
    :data:`KEEP_QUESTION`, with the question in ``question``; :data:`SPOKEN_ANSWER`, where a spoken answer
    begins; :data:`MOMENT_MARKED`, a moment marked by a colleague in the call; :data:`WRITTEN_NOTE`,
    a ``note`` written since; one of :data:`PARTICIPANT_KINDS`, with the participant's ``answer``; one of
    :data:`JOINED_KINDS`, with their side as ``answer``; one of :data:`OTHER_RECORDING_KINDS`; or one of
    :data:`web.text.eavesdrop.KINDS`, with the parties that could hear the supervisor as ``answer``."""

    start_ms: int
    end_ms: int
    channel: str
    reason: str
    question: KeepQuestionView | None = None
    answer: str = ""
    note: NoteRow | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedUse:
    """A purpose that was announced, and until when (UTC)."""

    purpose: str
    until: datetime


@dataclass(frozen=True, slots=True)
class RecordingView:
    """A recording as the player shows it.  Milliseconds are of audio, times are UTC.  ``entries`` holds the
    gaps and markers in playback order.  ``missing_ms`` is by how much the audio is shorter than the call
    (negative: longer) beyond the explained ``gaps``."""

    recording: str
    duration_ms: int
    started_at: datetime
    sealed_at: datetime
    keep_until: datetime
    announcement_text: str
    announcement_language: str
    announcement_start_ms: int
    announcement_end_ms: int
    announced_purposes: tuple[AnnouncedUse, ...]
    gaps: tuple[TimelineEntry, ...]
    entries: tuple[TimelineEntry, ...]
    sounds: tuple[tuple[str, str], ...]
    has_peaks: bool
    consented: ConsentView | None
    agreement: KeepAgreement | None
    missing_ms: int


def from_manifest(body: Mapping[str, Any]) -> RecordingView:
    """The view of a verified manifest.  Only signed values are used, none of the catalogue row."""
    announcement = body["announcement"]
    objects = {each["name"]: each["media_type"] for each in body["objects"]}
    gaps = tuple(
        TimelineEntry(gap["start_ms"], gap["end_ms"], gap["channel"], gap["reason"]) for gap in body["gaps"]
    )
    end = (
        (TimelineEntry(announcement["end_ms"], announcement["end_ms"], "both", ANNOUNCEMENT_END),)
        if announcement
        else ()
    )
    questions = tuple(
        TimelineEntry(each.place_ms, each.place_ms, "both", KEEP_QUESTION, each)
        for each in consent_view.keep_questions(body)
    )
    prompts = tuple(
        TimelineEntry(each.question.voice_ms[0], each.question.voice_ms[0], "left", SPOKEN_ANSWER)
        for each in questions
        if each.question is not None and each.question.voice_ms is not None
    )
    markers = tuple(
        TimelineEntry(
            each["offset_ms"],
            each["offset_ms"],
            "both",
            each["kind"],
            answer=_answer(each),
        )
        for each in body["markers"]
        if each["kind"]
        in (MOMENT_MARKED, *PARTICIPANT_KINDS, *JOINED_KINDS, *OTHER_RECORDING_KINDS, *eavesdrop.KINDS)
    )
    return RecordingView(
        recording=body["recording"],
        duration_ms=body["duration_ms"],
        started_at=from_iso(body["started_at"]),
        sealed_at=from_iso(body["sealed_at"]),
        keep_until=from_iso(body["keep_until"]),
        announcement_text=announcement["text"] if announcement else "",
        announcement_language=announcement["language"] if announcement else "",
        announcement_start_ms=announcement["offset_ms"] if announcement else 0,
        announcement_end_ms=announcement["end_ms"] if announcement else 0,
        announced_purposes=tuple(
            AnnouncedUse(each["code"], from_iso(each["until"]))
            for each in (announcement["purposes"] if announcement else ())
        ),
        gaps=gaps,
        entries=tuple(sorted((*gaps, *end, *questions, *prompts, *markers), key=entry_order)),
        sounds=tuple((name, objects[name]) for name in SOUNDS if name in objects),
        has_peaks="peaks" in objects,
        consented=consent_view.consent(body),
        agreement=consent_view.keep_agreement(body),
        missing_ms=unexplained_ms(body),
    )


def _answer(marker: Mapping[str, Any]) -> str:
    """What a marker says beside its kind."""
    if marker["kind"] in eavesdrop.KINDS:
        return eavesdrop.heard_by(marker)
    return str(marker["data"].get("who" if marker["kind"] in JOINED_KINDS else "answer", ""))


def entry_order(entry: TimelineEntry) -> tuple[int, bool]:
    """Order by end; only prompts by start, so that a prompt's gap follows its question."""
    return entry.start_ms if entry.reason == "prompt" else entry.end_ms, entry.reason != KEEP_QUESTION
