"""Whether another prompt plays over the announcement: a menu, an answering machine, another announcement.

Nobody listens then. What counts is speech in the external party's channel that goes on almost without a pause
for most of the announcement. A greeting or a question of a person is shorter, and people stop when they hear
that a machine speaks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from recorder.audio import prompt_match, voice_detection, wav
from recorder.audio.encoded_take import LocatedAnnouncement

LEAST_MS: Final = 3000
"""Speech that is shorter is no prompt, and an announcement that is shorter is not searched."""

SHARE: Final = 0.6
"""The share of the announcement that is spoken over."""

PAUSE_MS: Final = 700
"""The longest pause between two sentences of a prompt."""

EARLY_MS: Final = 300
"""How much earlier than the file's end a sound of the same length may have started, as the switch reports its
end."""

LOUD: Final = 10 ** (-45 / 20)
"""The level of speech on a telephone; below it there is at most noise."""

QUIET_MS: Final = 1200
"""After so much silence a prompt is over."""

ECHO_MS: Final = 400
"""The longest delay of the announcement's own echo."""

ECHO, ECHO_LOSS = 0.4, 10 ** (6 / 20)
"""The correlation from which a sound is that echo, and how much softer an echo is at least: as loud as the
announcement, the same sentence is another line's."""


def is_talked_over(sound: wav.Wav, announced: LocatedAnnouncement) -> bool:
    """Whether another prompt plays over the announcement at this place of a take. Raises
    :class:`TakeError`, ``OSError``."""
    start, stop = (ms * sound.sample_rate // 1000 for ms in (announced.offset_ms, announced.end_ms))
    return _is_spoken_over(sound, start, stop)


def is_last_talked_over(path: Path, length_ms: int) -> bool:
    """The same of an announcement of this length that has just ended, in a take's file that still grows.
    Raises :class:`TakeError`, ``OSError``."""
    sound = wav.inspect(path)
    start = max(0, sound.frames - (length_ms + EARLY_MS) * sound.sample_rate // 1000)
    return _is_spoken_over(sound, start, sound.frames)


def is_quiet(path: Path) -> bool:
    """Whether the external party has been silent for the last :data:`QUIET_MS` of a take's file that still
    grows. Raises :class:`TakeError`, ``OSError``."""
    sound = wav.inspect(path)
    frames = QUIET_MS * sound.sample_rate // 1000
    if sound.frames < frames:
        return False
    left = _left(sound, sound.frames - frames, sound.frames)
    return float(np.mean(_levels(left, sound.sample_rate) > LOUD)) < 0.1


def _is_spoken_over(sound: wav.Wav, start: int, stop: int) -> bool:
    length_ms = (stop - start) * 1000 // sound.sample_rate
    least = max(LEAST_MS, round(SHARE * length_ms))
    if length_ms < LEAST_MS:
        return False
    left = _left(sound, start, stop)
    # Most callers listen: the search is not worth its time then.
    if np.count_nonzero(_levels(left, sound.sample_rate) > LOUD) * _LEVEL_MS < least / 2:
        return False
    spans = voice_detection.find_speech(sound, start, stop, PAUSE_MS)
    longest = max((span.to_ms - span.from_ms for span in spans), default=0)
    return longest >= least and not _is_echo(left, sound, start, stop)


_LEVEL_MS: Final = 100


def _levels(left: prompt_match.Signal, rate: int) -> prompt_match.Signal:
    """The mean level of each tenth of a second."""
    size = rate * _LEVEL_MS // 1000
    count = len(left) // size
    levels: prompt_match.Signal = np.sqrt(np.mean(left[: count * size].reshape(count, size) ** 2, axis=1))
    return levels


def _left(sound: wav.Wav, start: int, stop: int) -> prompt_match.Signal:
    parts = [block[:, 0] for block in wav.read_blocks(sound, 1 << 16, start, stop)]
    return np.concatenate(parts).astype(np.float32) / np.float32(32768)


def _is_echo(left: prompt_match.Signal, sound: wav.Wav, start: int, stop: int) -> bool:
    """Whether the external party's channel carries what they hear: their telephone is too loud."""
    (piece,) = wav.read_blocks(sound, stop - start, start, stop)
    right = piece[:, 1].astype(np.float32) / np.float32(32768)
    size = 1 << (2 * len(left) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size)), size)
    own, other = float(np.dot(right, right)), float(np.dot(left, left))
    if other * ECHO_LOSS**2 > own:
        return False
    delays = product[: ECHO_MS * sound.sample_rate // 1000]
    return float(delays.max()) >= ECHO * float(np.sqrt(own * other))
