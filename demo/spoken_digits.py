"""Recognises the shipped digits and sentences in a sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import soundfile

from recorder.prompts.dsp import RATE as CLIPS
from recorder.prompts.dsp import resample, trim_silence
from recorder.prompts.sound_sources import SOUNDS

RATE = 8000
DIGITS = 6
"""Digits of a code."""

ALIKE = 0.8
"""The least correlation with a word (1: identical); a telephone line leaves more."""


def read_clip(language: str, name: str) -> np.ndarray:
    samples = soundfile.read(SOUNDS / language / f"{name}.flac", dtype="float32")[0]
    return resample(trim_silence(samples), CLIPS, RATE)


def find_start(samples: np.ndarray, language: str, name: str) -> int | None:
    """The sample at which a shipped sentence begins in a sound; ``None`` if it is not in it."""
    score = likeness(samples, read_clip(language, name))
    best = int(np.argmax(score))
    return best if score[best] > ALIKE else None


def likeness(samples: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """The correlation with a clip that begins at each sample."""
    size = 1 << (len(samples) + len(clip)).bit_length()
    alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(clip, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(float) ** 2)])
    around = np.sqrt(np.maximum(energy[len(clip) :] - energy[: -len(clip)], 1e-6))
    score: np.ndarray = alike[: len(samples) - len(clip) + 1] / around / np.linalg.norm(clip)
    return score


def digits(samples: np.ndarray, language: str) -> str:
    """The digits in a sound, in order."""
    return "".join(str(digit) for *_, digit in places(samples, language))


def places(samples: np.ndarray, language: str) -> list[tuple[int, int, int]]:
    """Start, end and value of each digit: the places most like one of the words."""
    samples = np.concatenate([samples, np.zeros(RATE // 2, samples.dtype)])  # the last word may be cut off
    found: list[tuple[float, int, int, int]] = []
    for digit in range(10):
        clip = read_clip(language, f"digit-{digit}")
        score = likeness(samples, clip)
        while (best := int(np.argmax(score))) >= 0 and score[best] > ALIKE:
            found.append((float(score[best]), best, len(clip), digit))
            score[max(best - len(clip) // 2, 0) : best + len(clip) // 2] = 0
    spans: list[tuple[int, int, int]] = []
    for _, at, length, digit in sorted(found, reverse=True):
        if all(at + length <= begin or at >= end for begin, end, _ in spans):
            spans.append((at + length // 4, at + length - length // 4, digit))
    return sorted(spans)


def code_in(samples: np.ndarray, language: str) -> str:
    """The code of a verification call, which is said twice: a telephone may have lost some of it once.
    Raises ``ValueError`` where it was not heard whole."""
    words = places(samples, language)
    pauses = [later[0] - former[1] for former, later in pairwise(words)]
    middle = pauses.index(max(pauses)) + 1 if pauses else 0
    texts = ["".join(str(digit) for *_, digit in part) for part in (words[:middle], words[middle:])]
    whole = {text for text in texts if len(text) == DIGITS}
    if len(whole) != 1 or min(map(len, texts)) < DIGITS - 2:
        raise ValueError(f"not a code of {DIGITS} digits, said twice: {texts}")
    return whole.pop()
