"""Inserts silence for what the switch did not write while the external party was on hold or waited.

A telephone that sends nothing on hold leaves nothing in the file, and neither does a park without music
(``timeline.py``): speech from before and after would be adjacent, and every later offset early by that
length. So silence is inserted where audio is missing, and the recording lasts as long as its call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from recorder.audio.encoded_take import LocatedAnnouncement, Prompt
from recorder.audio.pause_redaction import LocatedPause
from recorder.audio.timeline import Times
from recorder.audio.wav import Wav

LONGEST_MS: Final = 3_600_000
"""No more than this is inserted: a clock may have been set ahead during a hold, which ``drift_ms`` reports.
"""

Hole = tuple[int, int]
"""Where silence is inserted, and how much, in milliseconds of the file's audio."""


def find_holes(
    clock: Times, found: LocatedAnnouncement | None, prompts: Sequence[Prompt] = ()
) -> tuple[Hole, ...]:
    """The audio that is missing in holds and waits, by the times of the unfilled file. A prompt that was
    found whole is never split."""
    whole = [(each.offset_ms, each.end_ms) for each in (found, *prompts) if each is not None]
    result = []
    for _, at, length in clock.unwritten():
        at = next((start for start, end in whole if start < at < end), at)
        result.append((at, length))
    return tuple(result) if sum(length for _, length in result) <= LONGEST_MS else ()


def fill_holes(sound: Wav, missing: Sequence[Hole]) -> Wav:
    """The sound with silence in its holes."""
    rate = sound.sample_rate
    frames = tuple((at * rate // 1000, length * rate // 1000) for at, length in missing)
    return replace(sound, frames=sound.frames + sum(count for _, count in frames), holes=frames)


def shift_announcement(
    found: LocatedAnnouncement | None, missing: Sequence[Hole]
) -> LocatedAnnouncement | None:
    """The announcement's place in the filled sound."""
    if found is None:
        return None
    start, end = shift_stretch((found.offset_ms, found.end_ms), missing)
    return replace(found, offset_ms=start, end_ms=end)


def shift_prompts(prompts: Sequence[Prompt], missing: Sequence[Hole]) -> tuple[Prompt, ...]:
    """The other prompts' places in the filled sound."""
    places = (shift_stretch((each.offset_ms, each.end_ms), missing) for each in prompts)
    return tuple(
        replace(each, offset_ms=start, end_ms=end) for each, (start, end) in zip(prompts, places, strict=True)
    )


def shift_pauses(paused: Sequence[LocatedPause], missing: Sequence[Hole]) -> tuple[LocatedPause, ...]:
    """The pauses' places in the filled sound."""
    places = (shift_stretch((each.start_ms, each.end_ms), missing) for each in paused)
    return tuple(
        replace(each, start_ms=start, end_ms=end) for each, (start, end) in zip(paused, places, strict=True)
    )


def shift_stretch(stretch: tuple[int, int], missing: Sequence[Hole]) -> tuple[int, int]:
    """A stretch of the file, in the filled sound. A hole at its start comes before it, a hole at its end
    after it."""
    start, end = stretch
    return (
        start + sum(length for at, length in missing if at <= start),
        end + sum(length for at, length in missing if at < end),
    )
