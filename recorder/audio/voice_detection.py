"""Finds the external party's voice in a stretch of a take that may still grow.

Used during a call (``capture/voice_check.py``), for the stretch between the keep question and the key with
which the colleague confirms the answer. A doubtful case counts as no voice, and the question is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recorder.audio import speech_model, wav
from recorder.audio.speech_model import RATE, STEP
from recorder.prompts.dsp import resample

SURE: Final = 0.5
"""The probability of speech that each step (32 ms) needs."""

SHORTEST: Final = 3
"""Consecutive steps of speech that make a word: words last 250 ms or longer; clicks and key tones are
shorter, or improbable."""

MOST_GAIN, FULL = 10 ** (12 / 20), 10 ** (-20 / 20)
"""A soft voice is amplified before detection: by at most 12 dB, and to at most -20 dBFS."""

ABOVE_NOISE: Final = 10 ** (7.5 / 20)
"""A voice is louder than the background (the softest tenth); this excludes babble."""

ECHO_LOSS, ECHO_S = 10 ** (14 / 20), 0.6
"""Speech that is this much softer than the right channel within the last so many seconds is an echo from the
loudspeaker."""

PIECE_S, RUN_UP_S = 5, 0.5
"""Seconds that are searched at a time, and seconds of audio before them."""

PAUSE_MS: Final = 500
"""Words with pauses of at most this length belong to one answer."""

Signal = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VoiceSpan:
    """Start and end in milliseconds of audio."""

    from_ms: int
    to_ms: int


def count_frames(path: Path) -> int:
    """The number of frames in a take's file so far. Raises :class:`TakeError`, ``OSError``."""
    return wav.inspect(path).frames


def find_answer(path: Path, since: int, *, last: bool = False) -> VoiceSpan | None:
    """The external party's first answer from frame ``since`` to the file's current end, or the ``last``.
    Raises :class:`TakeError`, ``OSError``."""
    sound = wav.inspect(path)
    starts = range(since, sound.frames, PIECE_S * sound.sample_rate)
    for start in reversed(starts) if last else starts:
        stop = min(start + PIECE_S * sound.sample_rate, sound.frames)
        before = min(start, round(RUN_UP_S * sound.sample_rate))
        left, right = _channels(sound, start - before, stop)
        offset = (start - before) * 1000 / sound.sample_rate
        found = _merge_words(_speech_stretches(left, right, before * RATE // sound.sample_rate), offset)
        if found:
            return found[-1 if last else 0]
    return None


def find_speech(sound: wav.Wav, start: int, stop: int, pause_ms: int) -> Sequence[VoiceSpan]:
    """The external party's speech between two frames, with pauses of at most ``pause_ms`` in it. Raises
    :class:`TakeError`, ``OSError``."""
    left, right = _channels(sound, start, stop)
    return _merge_words(_speech_stretches(left, right, 0), start * 1000 / sound.sample_rate, pause_ms)


def _channels(sound: wav.Wav, start: int, stop: int) -> tuple[Signal, Signal]:
    """Both channels at the model's rate."""
    (piece,) = wav.read_blocks(sound, stop - start, start, stop)
    both = piece.astype(np.float32) / np.float32(32768)
    left, right = (resample(both[:, channel], sound.sample_rate, RATE) for channel in (0, 1))
    return left, right


def _speech_stretches(left: Signal, right: Signal, since: int) -> Iterator[tuple[int, int]]:
    """Stretches of speech, in steps, that start after sample ``since``."""
    left_levels, right_levels = _levels(left), _levels(right)
    if not len(left_levels):
        return
    gain = min(MOST_GAIN, max(1.0, FULL / max(float(np.sort(left_levels)[-SHORTEST:].min()), 1e-6)))
    likely = speech_model.speech_probabilities(left * np.float32(gain)) >= SURE
    likely[: -(-since // STEP)] = False
    floor = float(np.quantile(left_levels, 0.1))
    for first, end in _runs(likely):
        loud = float(left_levels[first:end].max())
        before = max(0, first - round(ECHO_S * RATE / STEP))
        mean = float(np.sqrt(np.mean(left_levels[first:end] ** 2)))
        echo = float(right_levels[before:end].max()) > loud * ECHO_LOSS
        if end - first >= SHORTEST and mean > floor * ABOVE_NOISE and not echo:
            yield first, end


def _levels(signal: Signal) -> Signal:
    """The mean level of each whole step."""
    count = len(signal) // STEP
    levels: Signal = np.sqrt(np.mean(signal[: count * STEP].reshape(count, STEP) ** 2, axis=1))
    return levels


def _runs(likely: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], likely, [False]]).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _merge_words(
    spans: Iterable[tuple[int, int]], offset: float, pause_ms: int = PAUSE_MS
) -> Sequence[VoiceSpan]:
    """The answers in milliseconds of audio: stretches of speech, merged across short pauses."""
    found: list[VoiceSpan] = []
    for first, end in spans:
        voice = VoiceSpan(*(round(offset + step * STEP * 1000 / RATE) for step in (first, end)))
        if found and voice.from_ms - found[-1].to_ms <= pause_ms:
            voice = VoiceSpan(found.pop().from_ms, voice.to_ms)
        found.append(voice)
    return found
