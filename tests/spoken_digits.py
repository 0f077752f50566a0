"""Recognises the shipped digits in a sound."""

from __future__ import annotations

import numpy as np
import soundfile

from recorder.prompts.dsp import RATE as CLIPS
from recorder.prompts.dsp import resample, trim_silence
from recorder.prompts.sound_sources import SOUNDS

RATE = 8000
ALIKE = 0.8
"""The least correlation with a word (1: identical); a telephone line leaves more."""


def clips(language: str) -> list[np.ndarray]:
    """The words for 0 to 9."""
    paths = [SOUNDS / language / f"digit-{digit}.flac" for digit in range(10)]
    return [resample(trim_silence(soundfile.read(path, dtype="float32")[0]), CLIPS, RATE) for path in paths]


def digits(samples: np.ndarray, language: str) -> str:
    """The digits in a sound, in order."""
    return "".join(str(digit) for *_, digit in places(samples, language))


def places(samples: np.ndarray, language: str) -> list[tuple[int, int, int]]:
    """Start, end and value of each digit: the places most like one of the words."""
    samples = np.concatenate([samples, np.zeros(RATE // 2, samples.dtype)])  # the last word may be cut off
    found: list[tuple[float, int, int, int]] = []
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(float) ** 2)])
    for digit, clip in enumerate(clips(language)):
        size = 1 << (len(samples) + len(clip)).bit_length()
        alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(clip, size)), size)
        alike = alike[: len(samples) - len(clip) + 1]
        around = np.sqrt(np.maximum(energy[len(clip) :] - energy[: -len(clip)], 1e-6))
        score = alike / around / np.linalg.norm(clip)
        while (best := int(np.argmax(score))) >= 0 and score[best] > ALIKE:
            found.append((float(score[best]), best, len(clip), digit))
            score[max(best - len(clip) // 2, 0) : best + len(clip) // 2] = 0
    spans: list[tuple[int, int, int]] = []
    for _, at, length, digit in sorted(found, reverse=True):
        if all(at + length <= begin or at >= end for begin, end, _ in spans):
            spans.append((at + length // 4, at + length - length // 4, digit))
    return sorted(spans)


def code_in(wav: np.ndarray, language: str) -> str:
    """The code of a call, which is said twice."""
    text = digits(wav, language)
    assert len(text) == 12, text
    assert text[:6] == text[6:], text
    return text[:6]
