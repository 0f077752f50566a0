"""Takes that consist of markers only, without audio: enough to plan a redaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.audio import redaction
from recorder.audio.encoded_take import LocatedAnnouncement, LocatedPause, Prompt
from recorder.audio.timeline import locate_take
from recorder.audio.wav import Wav
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.spool.layout import AudioLength, CallEnd, CallStart, Take

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
LENGTH_MS = 60_000
FOUND = LocatedAnnouncement(300, 10_300, 1.0)
NORMAL = [
    (0, "recording_started"),
    (200, "announcement_started"),
    (10_200, "announcement_finished"),
    (14_200, "bridged"),
]
TALK_MS = 14_600
"""From where the conversation of :data:`NORMAL` is kept: the bridge, placed by the announcement, and the
margin of a time that no length of the file places."""
RINGING_SPAN = (10_300, TALK_MS)


def take(markers: list[tuple[int, str]], ended_ms: int = LENGTH_MS, end_seen: bool = True) -> Take:
    start = CallStart("r", "t", "l", "1", "inbound", "n", "c", Party("withheld", ""), START, ("opus",), None)
    if end_seen and not {"hangup", "recording_stopped"} & {kind for _, kind in markers}:
        markers = [*markers, (ended_ms, "hangup")]
    return Take(
        Path("/nowhere"),
        start,
        tuple(
            Marker(
                START + timedelta(milliseconds=ms), kind.split()[0], {"seen": "later"} if " " in kind else {}
            )
            for ms, kind in markers
        ),
        CallEnd("recorded", None, START + timedelta(milliseconds=ended_ms), None),
    )


def measured(source: Take, *lengths: tuple[int, int]) -> Take:
    """The take with these lengths of its file: (milliseconds of the clock, of audio)."""
    return replace(
        source,
        lengths=tuple(AudioLength(START + timedelta(milliseconds=at), 44 + ms * 32) for at, ms in lengths),
    )


def sound(length_ms: int = LENGTH_MS, header_broken: bool = False) -> Wav:
    return Wav(Path("/nowhere"), 8000, 44, length_ms * 8, header_broken)


def plan_redaction(
    take: Take,
    sound: Wav,
    found: LocatedAnnouncement | None,
    prompts: tuple[Prompt, ...] = (),
    pauses: tuple[LocatedPause, ...] = (),
) -> redaction.RedactionPlan:
    """The plan for a take in which these were located, without a search for what its audio lacks."""
    return redaction.plan(replace(locate_take(take, sound, found, prompts), pauses=pauses))


def gaps(plan: redaction.RedactionPlan) -> list[tuple[int, int, str, str]]:
    return [(gap.start_ms, gap.end_ms, gap.channel, gap.reason) for gap in plan.gaps]


def with_data(source: Take, kind: str, **data: str) -> Take:
    """The take with this data in all its markers of a kind."""
    return replace(
        source,
        markers=tuple(
            replace(marker, data=data) if marker.kind == kind else marker for marker in source.markers
        ),
    )
