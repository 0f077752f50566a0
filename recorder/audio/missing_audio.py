"""Inserts silence for what the switch did not write while the external party was on hold or waited.

A telephone that sends nothing on hold leaves nothing in the file, and neither does a park without music
(``timeline.py``): speech from before and after would be adjacent, and every later offset early by that
length. So silence is inserted where audio is missing, and the recording lasts as long as its call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from recorder.audio.encoded_take import LocatedAnnouncement, LocatedPause, Prompt
from recorder.audio.timeline import LocatedTake
from recorder.audio.wav import Wav

LONGEST_MS: Final = 3_600_000
"""No more than this is inserted: a clock may have been set ahead during a hold, which ``drift_ms`` reports.
"""

_Located = TypeVar("_Located", LocatedAnnouncement, Prompt)

Hole = tuple[int, int]
"""Where silence is inserted, and how much, in milliseconds of the file's audio."""


def fill(located: LocatedTake) -> LocatedTake:
    """The take with silence where audio is missing, and everything at its place in the filled sound."""
    holes = find_holes(located)
    return replace(
        located,
        sound=_fill_sound(located.sound, holes),
        clock=located.clock.fill() if holes else located.clock,
        announcement=None if located.announcement is None else _shift(located.announcement, holes),
        prompts=tuple(_shift(each, holes) for each in located.prompts),
        pauses=tuple(_shift_pause(each, holes) for each in located.pauses),
    )


def find_holes(located: LocatedTake) -> tuple[Hole, ...]:
    """The audio that is missing in holds and waits, by the times of the unfilled file. A prompt that was
    found whole is never split."""
    prompts = (located.announcement, *located.prompts)
    whole = [(each.offset_ms, each.end_ms) for each in prompts if each is not None]
    result = []
    for _, at, length in located.clock.unwritten():
        at = next((start for start, end in whole if start < at < end), at)
        result.append((at, length))
    return tuple(result) if sum(length for _, length in result) <= LONGEST_MS else ()


def inserted_stretches(sound: Wav) -> Iterator[tuple[int, int]]:
    """Where silence was inserted, in milliseconds of the filled sound."""
    before = 0
    for at, length in sound.holes:
        start, end = at + before, at + before + length
        yield start * 1000 // sound.sample_rate, -(-end * 1000 // sound.sample_rate)
        before += length


def _fill_sound(sound: Wav, holes: Sequence[Hole]) -> Wav:
    rate = sound.sample_rate
    frames = tuple((at * rate // 1000, length * rate // 1000) for at, length in holes)
    return replace(sound, frames=sound.frames + sum(count for _, count in frames), holes=frames)


def _shift(each: _Located, holes: Sequence[Hole]) -> _Located:
    start, end = shift_stretch((each.offset_ms, each.end_ms), holes)
    return replace(each, offset_ms=start, end_ms=end)


def _shift_pause(pause: LocatedPause, holes: Sequence[Hole]) -> LocatedPause:
    start, end = shift_stretch((pause.start_ms, pause.end_ms), holes)
    return replace(pause, start_ms=start, end_ms=end)


def shift_stretch(stretch: tuple[int, int], holes: Sequence[Hole]) -> tuple[int, int]:
    """A stretch of the file, in the filled sound. A hole at its start comes before it, a hole at its end
    after it."""
    start, end = stretch
    return (
        start + sum(length for at, length in holes if at <= start),
        end + sum(length for at, length in holes if at < end),
    )
