"""What both people see of a recording in a room: where it was announced, asked and answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from recorder.audio.keep_answers import NO, YES
from recorder.seal.manifest import Manifest

MomentKind = Literal["announcement", "question", "answer"]

SHOWN_MS: Final = 1000
"""How wide a moment is shown whose end is not known, in milliseconds of audio."""


@dataclass(frozen=True, slots=True)
class RoomMoment:
    """Something that both heard, from ``begin_ms`` to ``end_ms`` of audio."""

    kind: MomentKind
    begin_ms: int
    end_ms: int


def find_moments(manifest: Manifest) -> tuple[RoomMoment, ...]:
    """The announcement, and each keep question with its answer, in order. A question that is not whole in
    the audio is left out, and so is an answer that nobody gave."""
    return tuple(sorted(_moments(manifest), key=lambda each: each.begin_ms))


def _moments(manifest: Manifest) -> Iterator[RoomMoment]:
    if (announced := manifest.announced) is not None:
        yield RoomMoment("announcement", announced.offset_ms, announced.end_ms)
    for each in manifest.keep_questions:
        if not each.is_question_heard:
            continue
        found = None if each.question is None else each.question.found
        if found is None:
            yield RoomMoment("question", each.offset_ms, each.offset_ms + SHOWN_MS)
        else:
            yield RoomMoment("question", found.offset_ms, found.end_ms)
        if each.voice is not None:
            yield RoomMoment("answer", each.voice.from_ms, each.voice.to_ms)
        elif each.answer in (YES, NO) and each.answered_offset_ms is not None:
            yield RoomMoment("answer", each.answered_offset_ms, each.answered_offset_ms + SHOWN_MS)
