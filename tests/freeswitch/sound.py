"""Sounds that are recognised without the product's own correlator, and files as the switch leaves them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from recorder.audio.encoded_take import Encoded
from recorder.audio.encoding import WAV, encode
from recorder.spool.layout import Take

RATE = 8000


def chirp(seconds: float = 1.2) -> np.ndarray:
    """Return an unmistakable announcement: 300 to 3000 Hz, with its onset at the first sample."""
    t = np.arange(int(RATE * seconds)) / RATE
    return 0.6 * np.sin(2 * np.pi * (300 * t + (2700 / (2 * seconds)) * t * t))


def onset_of(samples: np.ndarray, prompt: np.ndarray) -> int | None:
    """Return the sample at which a prompt begins: sound that starts after silence and continues as the prompt
    does.

    It does not use correlation, because the product's correlator is measured against it."""
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    silent = np.diff(loud, prepend=-RATE) > 160
    last: int | None = None
    for at in loud[silent | (loud < 160)].tolist():
        piece = samples[at : at + len(prompt)]
        if len(piece) == len(prompt) and _alike(piece, prompt).all():
            last = at
    return last


def heard_whole(samples: np.ndarray, prompt: np.ndarray) -> bool:
    """Whether a phone heard the prompt, except its first tenth of a second (a phone that is just being
    answered misses that) and a packet lost on a busy machine."""
    for at in np.flatnonzero(np.abs(samples) > 0.02)[::40]:
        piece = samples[at : at + len(prompt) - 800]
        if len(piece) < len(prompt) - 800:
            return False
        for cut in range(0, 801, 160):
            if _alike(piece, prompt[cut : cut + len(piece)]).mean() >= 0.85:
                return True
        if at > 10 * RATE:
            return False
    return False


def heard_among(samples: np.ndarray, prompt: np.ndarray) -> bool:
    """Whether a complete prompt is heard while others speak: each third of it, at its position."""
    size = len(samples) + len(prompt)
    spectrum = np.fft.rfft(samples, size)
    alike = [
        np.abs(np.fft.irfft(spectrum * np.conj(np.fft.rfft(part, size)), size)[: len(samples)])
        / (part @ part)
        for part in np.array_split(prompt, 3)
    ]
    third = len(prompt) // 3
    # It may have been played more than once.
    for at in np.flatnonzero(alike[0] > 0.5).tolist():
        near = [each[max(at + n * third - 400, 0) : at + n * third + 400] for n, each in enumerate(alike)]
        if all(len(each) and each.max() > 0.3 for each in near):
            return True
    return False


def _alike(piece: np.ndarray, prompt: np.ndarray, window: int = 400) -> np.ndarray:
    """Return which windows of 50 ms have the same loudness and pitch."""
    count = len(prompt) // window
    a, b = (x[: count * window].reshape(count, window) for x in (piece, prompt))
    loudness = np.abs(np.sqrt((a**2).mean(axis=1)) - np.sqrt((b**2).mean(axis=1)))
    pitch = [np.abs(np.diff(np.sign(x), axis=1)).sum(axis=1) for x in (a, b)]
    return (loudness < 0.15) & (np.abs(pitch[0] - pitch[1]) <= 8 + 0.1 * pitch[1])


def level(samples: np.ndarray, pitch: float, window: int = 800) -> np.ndarray:
    """Return the share of a pitch in each window of 100 ms, from 0 to about 1 (full scale)."""
    count = len(samples) // window
    frames = samples[: count * window].reshape(count, window)
    t = np.arange(window) / RATE
    return 2 * np.abs(frames @ np.exp(-2j * np.pi * pitch * t)) / window


def read_wav(path: Path) -> np.ndarray:
    """Return the samples of a two-channel file as the switch leaves it, ignoring its header's length: (n,
    2)."""
    raw = path.read_bytes()
    at = raw.find(b"data") + 8
    if at < 8:
        return np.zeros((0, 2))  # just made
    body = raw[at : at + (len(raw) - at) // 4 * 4]
    return np.frombuffer(body, "<i2").reshape(-1, 2) / 32768


def redact(take: Take, prompt: Path) -> tuple[Encoded, np.ndarray]:
    """Encode a take as WAV only. Returns that, and the sound that is kept, as :func:`read_wav` does."""
    take = replace(take, start=replace(take.start, formats=("wav",)))
    return encode(take, prompt), read_wav(take.folder / WAV)
