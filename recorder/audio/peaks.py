"""A take's peaks for the player's waveform: lowest and highest sample of each short window.

The object ``peaks`` is JSON::

    {"format": 1, "sample_rate": 8000, "frames": 202934, "window_frames": 400,
     "left": [-3, 2, -90, 71, ...], "right": [...]}

``left`` and ``right`` alternate lowest and highest of every ``window_frames`` frames, on a scale of -128 to
127 (full scale), rounded away from zero so that quiet sound still shows. Peaks are computed from the redacted
sound: a redacted stretch is flat.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from recorder.audio.wav import Samples

FORMAT = 1
PER_SECOND = 20
MOST_WINDOWS = 12_000
"""Ten minutes at full detail; longer takes get longer windows, so that the object stays below 250 kB."""


class Peaks:
    """Collects the peaks of a take of ``frames`` frames, from blocks of any size."""

    def __init__(self, sample_rate: int, frames: int) -> None:
        self._sample_rate = sample_rate
        self._frames = frames
        self._window = max(sample_rate // PER_SECOND, -(-frames // MOST_WINDOWS))
        self._rest: Samples = np.zeros((0, 2), dtype=np.int16)
        self._outline: list[NDArray[np.int64]] = []

    def add(self, samples: Samples) -> None:
        """The next block, shape (n, 2)."""
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(samples) // self._window * self._window
        if whole:
            self._outline.append(_outline(samples[:whole].reshape(-1, self._window, 2)))
        self._rest = samples[whole:].copy()

    def to_json(self) -> bytes:
        """The object's bytes, after the last block."""
        parts = list(self._outline)
        if len(self._rest):
            parts.append(_outline(self._rest.reshape(1, -1, 2)))
        outline = np.concatenate(parts) if parts else np.zeros((0, 2, 2), dtype=np.int64)
        body = {
            "format": FORMAT,
            "sample_rate": self._sample_rate,
            "frames": self._frames,
            "window_frames": self._window,
            "left": outline[:, 0].ravel().tolist(),
            "right": outline[:, 1].ravel().tolist(),
        }
        return json.dumps(body, separators=(",", ":")).encode()


def _outline(windows: Samples) -> NDArray[np.int64]:
    """Shape (windows, channel, lowest and highest) of shape (windows, frames, channel)."""
    # One channel at a time, its samples contiguous, so that the comparison is vectorised.
    channels = np.ascontiguousarray(windows.transpose(2, 0, 1))
    lowest, highest = channels.min(axis=2).T.astype(np.int64), channels.max(axis=2).T.astype(np.int64)
    return np.stack([_scaled(lowest), _scaled(highest)], axis=2)


def _scaled(values: NDArray[np.int64]) -> NDArray[np.int64]:
    rounded: NDArray[np.int64] = np.sign(values) * -(-np.abs(values) // 256)
    return rounded.clip(-128, 127)
