"""A recording as the player shows it, read from the verified manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from recorder.domain.call_plan import NOTICE
from recorder.domain.markers import SealedMarker
from recorder.domain.parties import Party
from recorder.features.notes.service import NoteRow
from recorder.playback.interface import SOUNDS
from recorder.seal.arrivals import arrivals, colleagues, our_side
from recorder.seal.consent_record import Consent, KeepQuestion
from recorder.seal.duration_check import unexplained_ms
from recorder.seal.manifest import AnnouncedPurpose, Manifest, Parties
from web.text.sentences import SENTENCES

ANNOUNCEMENT_END: Final = "announcement_end"
KEEP_QUESTION: Final = "keep_question"
SPOKEN_ANSWER: Final = "spoken_answer"
WRITTEN_NOTE: Final = "note"
HANDOVER: Final = "handover"
PARTICIPANT_KINDS: Final = (
    "transfer_question_finished",
    "transfer_question_answered",
    "transfer_question_refused",
)
"""Kinds of markers about a transfer target who was asked for consent."""
JOINED_KINDS: Final = ("participant_joined", "participant_left")
"""Kinds of markers about people who joined or left the call."""

SUPERVISOR_KINDS: Final = ("supervisor_joined", "supervisor_left", "supervisor_heard")


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A gap or a marker on the timeline, in ms of audio; ``channel`` is ``left``, ``right`` or ``both``.

    ``reason`` is a gap's reason or, for a marker (start equals end), its kind: :data:`ANNOUNCEMENT_END`;
    :data:`KEEP_QUESTION`, with the question in ``question``; :data:`SPOKEN_ANSWER`, where a spoken answer
    begins; :data:`WRITTEN_NOTE`, a ``note`` written since; one of :data:`PARTICIPANT_KINDS`, with the
    participant's ``answer``; or one that ``[marker]`` in ``web/text/sentences.toml`` has a sentence for. Of
    these, :data:`JOINED_KINDS` have the side of the person as ``answer``, and :data:`SUPERVISOR_KINDS` the
    parties that could hear the supervisor. ``party`` is who came, where that is known; a :data:`HANDOVER` is
    to one of several colleagues."""

    start_ms: int
    end_ms: int
    channel: str
    reason: str
    question: KeepQuestion | None = None
    answer: str = ""
    note: NoteRow | None = None
    party: Party | None = None


@dataclass(frozen=True, slots=True)
class RecordingView:
    """A recording as the player shows it.  Milliseconds are of audio, times are UTC.  ``entries`` holds the
    gaps and markers in playback order.  ``consented`` is ``None`` after a plain announcement.  ``missing_ms``
    is by how much the audio is shorter than the call (negative: longer) beyond the explained ``gaps``.
    ``colleagues`` are those who took part, in order."""

    recording: str
    duration_ms: int
    started_at: datetime
    sealed_at: datetime
    keep_until: datetime
    announcement_text: str
    announcement_language: str
    announcement_start_ms: int
    announcement_end_ms: int
    announced_purposes: tuple[AnnouncedPurpose, ...]
    gaps: tuple[TimelineEntry, ...]
    entries: tuple[TimelineEntry, ...]
    sounds: tuple[tuple[str, str], ...]
    has_peaks: bool
    consented: Consent | None
    missing_ms: int
    colleagues: tuple[Party, ...]


def from_manifest(manifest: Manifest, parties: Parties) -> RecordingView:
    """The view of a verified manifest and its parties.  Only signed values are used, none of the catalogue
    row."""
    announced = manifest.announced
    gaps = tuple(TimelineEntry(gap.start_ms, gap.end_ms, gap.channel, gap.reason) for gap in manifest.gaps)
    end = () if announced is None else (_entry(announced.end_ms, "both", ANNOUNCEMENT_END),)
    questions = tuple(_keep_question(each) for each in manifest.keep_questions)
    voices = tuple(
        _entry(each.voice.from_ms, "left", SPOKEN_ANSWER)
        for each in manifest.keep_questions
        if each.voice is not None
    )
    party_of = {each.marker: each.party for each in arrivals(manifest, parties)}
    markers = tuple(
        replace(_entry(each.offset_ms, "both", each.kind), answer=_answer(each), party=party_of.get(each))
        for each in manifest.markers
        if each.kind in PARTICIPANT_KINDS or each.kind in SENTENCES["marker"]
    )
    took_part = colleagues(manifest, parties)
    handovers = tuple(
        replace(_entry(each.marker.offset_ms, "both", HANDOVER), party=each.party)
        for each in took_part
        if each.marker.kind == "bridged" and len(took_part) > 1
    )
    return RecordingView(
        recording=manifest.recording,
        duration_ms=manifest.duration_ms,
        started_at=manifest.started_at,
        sealed_at=manifest.sealed_at,
        keep_until=manifest.keep_until,
        announcement_text="" if announced is None else announced.text,
        announcement_language="" if announced is None else announced.language,
        announcement_start_ms=0 if announced is None else announced.offset_ms,
        announcement_end_ms=0 if announced is None else announced.end_ms,
        announced_purposes=() if announced is None else announced.purposes,
        gaps=gaps,
        entries=tuple(sorted((*gaps, *end, *questions, *voices, *handovers, *markers), key=entry_order)),
        sounds=sounds_of(manifest),
        has_peaks=manifest.object("peaks") is not None,
        consented=None if manifest.consent.mode == NOTICE else manifest.consent,
        missing_ms=unexplained_ms(manifest),
        colleagues=our_side(manifest, parties),
    )


def sounds_of(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """The names and media types of a recording's sounds; a player tries the first one first."""
    return tuple((name, found.media_type) for name in SOUNDS if (found := manifest.object(name)) is not None)


def _entry(at_ms: int, channel: str, reason: str) -> TimelineEntry:
    return TimelineEntry(at_ms, at_ms, channel, reason)


def _keep_question(one: KeepQuestion) -> TimelineEntry:
    """The question where it is in the audio, or else where it was asked."""
    found = None if one.question is None else one.question.found
    place_ms = one.offset_ms if found is None else found.offset_ms
    return TimelineEntry(place_ms, place_ms, "both", KEEP_QUESTION, one)


def _answer(marker: SealedMarker) -> str:
    """What a marker says beside its kind."""
    if marker.kind in SUPERVISOR_KINDS:
        return f"{marker.data.get('heard_by', '')} {marker.data.get('channel', '')}".strip()
    return marker.data.get("who" if marker.kind in JOINED_KINDS else "answer", "")


def entry_order(entry: TimelineEntry) -> tuple[int, bool]:
    """Order by end; only prompts by start, so that a prompt's gap follows its question."""
    return entry.start_ms if entry.reason == "prompt" else entry.end_ms, entry.reason != KEEP_QUESTION
