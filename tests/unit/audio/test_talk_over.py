"""Another prompt over the announcement is noticed; a person, an echo and other sounds are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio import talk_over, wav
from recorder.audio.encoded_take import LocatedAnnouncement
from recorder.prompts.dsp import resample
from tests.scenarios.files import SAYS_YES

RATE = 8000
SOUNDS = Path(__file__).parents[3] / "recorder/prompts/sounds/en"


def spoken(*names: str) -> np.ndarray:
    clips = [soundfile.read(SOUNDS / f"{name}.flac", dtype="float32") for name in names]
    return np.concatenate([resample(samples, rate, RATE) for samples, rate in clips])


PROMPT = spoken("recorded-for-agreement", "for-agreement")
OTHER = spoken("keep-this", "opt-in-1", "may-we-keep")
SECONDS = np.arange(len(PROMPT)) / RATE
HELLO = np.concatenate([np.zeros(RATE), soundfile.read(SAYS_YES, dtype="float32")[0], np.zeros(RATE)])


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (OTHER, True),
        (np.concatenate([np.zeros(RATE), PROMPT]), True),
        (OTHER[: len(PROMPT) // 3], False),
        (np.tile(HELLO, 3), False),
        (np.concatenate([np.zeros(800), 0.4 * PROMPT]), False),
        (0.3 * np.sin(2 * np.pi * 440 * SECONDS), False),
        (0.1 * np.random.default_rng(1).standard_normal(len(PROMPT)), False),
        (np.zeros(1), False),
    ],
    ids=["prompt", "same_prompt", "sentence", "hello", "echo", "tone", "noise", "silence"],
)
def test_only_another_prompt_talks_over(left: np.ndarray, expected: bool, tmp_path: Path) -> None:
    both = np.zeros((len(PROMPT), 2))
    both[: min(len(left), len(both)), 0] = left[: len(both)]
    both[:, 1] = PROMPT
    path = tmp_path / "audio.wav"
    soundfile.write(path, both, RATE, subtype="PCM_16")
    length = len(PROMPT) * 1000 // RATE
    assert talk_over.is_talked_over(wav.inspect(path), LocatedAnnouncement(0, length, 1.0)) is expected
    assert talk_over.is_last_talked_over(path, length) is expected
