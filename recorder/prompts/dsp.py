"""Samples: loudness, trimming, resampling, concatenation.

Everything here works on one channel of ``float32`` samples, full scale 1, at :data:`RATE` unless it says
otherwise, and is deterministic: the same input gives the same bytes.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16_000
"""The sample rate at which clips are kept and combined."""

LOUDNESS = -20.0
"""Target loudness of every clip in LUFS (ITU-R BS.1770): speech on a phone line."""

PEAK = 0.79
"""No clip's peak is raised above this (-2 dBFS), whatever its loudness."""

EDGE_S = 0.05
"""Silence at both ends of every clip."""

_BEFORE_S, _AFTER_S, _FADE_S = 0.02, 0.05, 0.005
_FRAME_S = 0.01
_QUIET_DB, _SILENT_DBFS = 38.0, -60.0


def loudness(samples: Samples, rate: int = RATE) -> float:
    """The gated loudness by ITU-R BS.1770, in LUFS; -inf for silence. A sound shorter than the standard's
    block of 0.4 s is one block."""
    size = min(len(samples), int(0.4 * rate))
    if size == 0:
        return -np.inf
    weighted = _weighted(samples, rate) ** 2
    total = np.concatenate([[0.0], np.cumsum(weighted)])
    starts = np.arange(0, len(samples) - size + 1, max(1, size // 4))
    power = (total[starts + size] - total[starts]) / size
    for gate in (_power(-70.0), None):
        threshold = gate if gate is not None else power.mean() / 10
        power = power[power > threshold]
        if not len(power):
            return -np.inf
    return float(-0.691 + 10 * np.log10(power.mean()))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def _weighted(samples: Samples, rate: int) -> NDArray[np.float64]:
    """K-weighting: the standard's two filters (specified for 48 kHz), as a frequency response."""
    size = len(samples) + rate // 5
    spectrum = np.fft.rfft(samples.astype(np.float64), size)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / rate) / 48_000)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high = (1 - z) ** 2 / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    weighted: NDArray[np.float64] = np.fft.irfft(spectrum * np.abs(shelf * high), size)[: len(samples)]
    return weighted


def normalise(samples: Samples, rate: int = RATE) -> Samples:
    """Bring samples to :data:`LOUDNESS`, or as near as :data:`PEAK` allows. Silence stays silence."""
    now = loudness(samples, rate)
    if not np.isfinite(now):
        return samples
    gain = min(10 ** ((LOUDNESS - now) / 20), PEAK / float(np.abs(samples).max()))
    return (samples * np.float32(gain)).astype(np.float32)


def measure_silence(samples: Samples, rate: int = RATE) -> tuple[float, float]:
    """Seconds of silence before and after the sound; the whole length, twice, for silence."""
    size = max(1, int(_FRAME_S * rate))
    count = len(samples) // size
    if count == 0:
        return 0.0, 0.0
    frames = samples[: count * size].reshape(count, size).astype(np.float64)
    level = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12))
    audible = np.flatnonzero(level > max(_SILENT_DBFS, float(level.max()) - _QUIET_DB))
    if not len(audible):
        return len(samples) / rate, len(samples) / rate
    return float(audible[0] * size / rate), float((len(samples) - (audible[-1] + 1) * size) / rate)


def trim_silence(samples: Samples, rate: int = RATE) -> Samples:
    """Trim samples to the audible part, faded in and out, with :data:`EDGE_S` of silence at both ends."""
    before, after = measure_silence(samples, rate)
    first = max(0, int((before - _BEFORE_S) * rate))
    last = min(len(samples), len(samples) - int((after - _AFTER_S) * rate))
    audible = samples[first:last].astype(np.float32)
    fade = min(int(_FADE_S * rate), len(audible) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        audible = np.concatenate([audible[:fade] * ramp, audible[fade:-fade], audible[-fade:] * ramp[::-1]])
    edge = make_silence(EDGE_S, rate)
    return np.concatenate([edge, audible, edge])


def make_silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(round(seconds * rate), dtype=np.float32)


def resample(samples: Samples, rate: int, to: int) -> Samples:
    """Resample through the whole spectrum, with a roll-off below the lower rate's limit, so that nothing
    rings."""
    if rate == to or not len(samples):
        return samples.astype(np.float32)
    length = len(samples) * to // rate
    spectrum = np.fft.rfft(samples.astype(np.float64))
    limit = min(rate, to) / 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    slope = np.clip((limit - frequencies) / (0.06 * limit), 0, 1)
    spectrum *= np.sin(slope * np.pi / 2) ** 2
    fitted = np.zeros(length // 2 + 1, dtype=spectrum.dtype)
    common = min(len(spectrum), len(fitted))
    fitted[:common] = spectrum[:common]
    return (np.fft.irfft(fitted, length) * (length / len(samples))).astype(np.float32)


def join_clips(pieces: Sequence[Samples], pauses: Sequence[float], rate: int = RATE) -> Samples:
    """Join clips in sequence, each preceded by its pause in seconds (the first one's is ignored)."""
    parts: list[Samples] = []
    for piece, pause in zip(pieces, pauses, strict=True):
        parts += [make_silence(pause, rate), piece] if parts else [piece]
    return np.concatenate(parts) if parts else make_silence(0)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    return np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)


def wav_bytes(samples: Samples, rate: int) -> bytes:
    """A WAV file: PCM 16 bit, one channel."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_int16(samples).astype("<i2").tobytes())
    return buffer.getvalue()
