"""Locates the voices of two phones in a recording without the product: each voice is a noise without
repetition, and both are on one clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tests.freeswitch.telephones.codecs import Voice, at_rate, noise

RATE = 8000
WINDOW_S, EVERY_S = 0.3, 0.25
STEADY_S = 0.03
"""By which the pace from one place to the next may be off, where nothing is cut between them."""
WINDOW = 5
"""Places in a row, 1.3 s of sound: what holds the switch up for a moment is made good in fewer; what is
recorded at a wrong place or a wrong speed stays there."""
LIKE = 0.35
"""Likeness of what is there; another place is below 0.1."""


@dataclass(frozen=True)
class Place:
    """A match: ``at`` seconds in the recording is what was said ``speech_time`` seconds after the clock's
    start, modulo the noise's period."""

    at: float
    speech_time: float
    likeness: float


@cache
def _spectrum(voice: Voice) -> np.ndarray:
    return np.conj(np.fft.rfft(at_rate(noise(voice.seed, voice.seconds), RATE).astype(np.float64)))


def low(sound: np.ndarray, rate: int) -> np.ndarray:
    """Resample a channel to 8 kHz."""
    if rate == RATE:
        return sound
    count = len(sound) * RATE // rate
    spectrum = np.fft.rfft(sound)[: count // 2 + 1]
    return np.fft.irfft(spectrum, count) * (RATE / rate)


def places(sound: np.ndarray, voice: Voice) -> list[Place]:
    """Return every position in a channel (at 8 kHz) at which this voice is heard."""
    period, size = voice.seconds * RATE, int(WINDOW_S * RATE)
    source = at_rate(noise(voice.seed, voice.seconds), RATE).astype(np.float64)
    double = np.concatenate([[0.0], np.cumsum(np.concatenate([source, source[:size]]) ** 2)])
    found = []
    for start in range(0, len(sound) - size, int(EVERY_S * RATE)):
        piece = sound[start : start + size].astype(np.float64)
        own = float(piece @ piece)
        if own < size * 1e-6:
            continue
        product = np.fft.irfft(np.conj(np.fft.rfft(piece, period) * _spectrum(voice)), period)
        at = int(product.argmax())
        likeness = product[at] / np.sqrt(own * (double[at + size] - double[at]))
        if likeness >= LIKE:
            found.append(Place(start / RATE, at / RATE, float(likeness)))
    return found


def steps(left: list[Place], right: list[Place], period: float) -> list[tuple[float, float]]:
    """By how many seconds the left channel is later than the right one, wherever both are heard and go on to
    the same neighbour.  (A window over a cut holds something from before it and something from after it, and
    may be like the one in the left channel and like the other in the right one.)"""
    positions = [{place.at: place.speech_time for place in channel} for channel in (left, right)]

    def goes_on(at: float, by: float) -> bool:
        return all(
            at + by in one and abs(_near(one[at + by] - one[at] - by, period)) < STEADY_S for one in positions
        )

    both = [at for at in positions[0] if at in positions[1]]
    return [
        (at, _near(positions[1][at] - positions[0][at], period))
        for at in both
        if goes_on(at, EVERY_S) or goes_on(at, -EVERY_S)
    ]


def pace(found: list[Place], period: float) -> list[tuple[float, float]]:
    """Return by how many seconds each position is later than the first one implies."""
    if not found:
        return []
    first = found[0]
    return [
        (one.at, _near((one.at - first.at) - (one.speech_time - first.speech_time), period)) for one in found
    ]


def trend(late: list[tuple[float, float]]) -> list[float]:
    """Return the running median over :data:`WINDOW` positions."""
    values = [value for _, value in late]
    rows = [values[n : n + WINDOW] for n in range(max(1, len(values) - WINDOW + 1))]
    return [float(np.median(row)) for row in rows if row]


def _near(value: float, period: float) -> float:
    return (value + period / 2) % period - period / 2


def above(sound: np.ndarray, rate: int, hertz: float) -> float:
    """Return the share of a channel's power above a pitch, in dB."""
    power = np.abs(np.fft.rfft(sound.astype(np.float64))) ** 2
    part = power[np.fft.rfftfreq(len(sound), 1 / rate) > hertz].sum()
    return float(10 * np.log10(part / power.sum() + 1e-12))
