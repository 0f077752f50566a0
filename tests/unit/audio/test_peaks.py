"""The peaks for the player's waveform."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recorder.audio.peaks import MOST_WINDOWS, Peaks


def outline(samples: np.ndarray, block: int, rate: int = 8000) -> dict[str, object]:
    peaks = Peaks(rate, len(samples))
    for at in range(0, len(samples), block):
        peaks.add(samples[at : at + block])
    body: dict[str, object] = json.loads(peaks.to_json())
    return body


@pytest.mark.parametrize("block", [1, 399, 400, 1000, 100_000])
def test_lowest_and_highest_sample_of_every_window(block: int) -> None:
    samples = np.zeros((1000, 2), dtype=np.int16)
    samples[10, 0], samples[399, 0], samples[400, 0], samples[999, 1] = 32767, -32768, 255, -1
    body = outline(samples, block)
    assert (body["format"], body["sample_rate"], body["frames"], body["window_frames"]) == (
        1,
        8000,
        1000,
        400,
    )
    assert body["left"] == [-128, 127, 0, 1, 0, 0]
    assert body["right"] == [0, 0, 0, 0, -1, 0]


def test_long_take_has_longer_windows() -> None:
    frames = 8000 * 3600 * 3
    peaks = Peaks(8000, frames)
    minute = np.ones((480_000, 2), dtype=np.int16)
    for _ in range(3 * 60):
        peaks.add(minute)
    body = json.loads(peaks.to_json())
    assert len(body["left"]) <= 2 * MOST_WINDOWS
    assert len(body["left"]) // 2 == -(-frames // body["window_frames"])


def test_only_silence_is_flat() -> None:
    samples = np.zeros((800, 2), dtype=np.int16)
    samples[500, 1] = 1
    body = outline(samples, 100)
    assert body["left"] == [0, 0, 0, 0]
    assert body["right"] == [0, 0, 0, 1]
