"""Find a prompt in the external party's channel by normalised cross-correlation, and require the whole of it.

A playback's end event does not prove that the prompt was heard (a hold has been seen to remove 0.9 s), so the
prompt is cut into short pieces, each of which must be in its place. Only a slip of a few media ticks is
tolerated: a loaded switch drops frames of 20 ms, which costs no word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from recorder.audio import wav
from recorder.audio.encoded_take import LocatedAnnouncement
from recorder.errors import TakeError

Signal = NDArray[np.float32]

CANDIDATE = 0.15
"""Correlation of the whole prompt above which a place is examined. Other speech stays below 0.1 over ten
seconds; a prompt that slipped in its middle gives 0.5, one that slipped five times at even distances a
sixth."""

PIECE_MS = 100
PIECE = 0.7
"""Correlation that each piece needs. G.711 gives 0.99 at speech level and 0.9 near its noise."""

SLIPPED = 0.3
"""Correlation of the piece that contains a slip: its larger part matches (half gives 0.5; where the middle
fifth is lost and is the loudest, 0.36)."""

SLIP_MS = 100
"""Total displacement allowed: five media ticks."""

LOW = 0.05
"""Pieces below this share of the prompt's own level are pauses and cannot be compared."""

APART_MS = 200
"""Two playings start at least this far apart (shorter than any prompt)."""


@dataclass(frozen=True, slots=True)
class Match:
    """A whole playing of the prompt: frames of audio, and the correlation over all its pieces."""

    start: int
    end: int
    score: float


def to_milliseconds(match: Match, sample_rate: int) -> LocatedAnnouncement:
    """The match in milliseconds of audio. The end is rounded up, because the audio before it is redacted."""
    return LocatedAnnouncement(
        offset_ms=round(match.start * 1000 / sample_rate),
        end_ms=-(-match.end * 1000 // sample_rate),
        score=round(min(match.score, 1.0), 4),
    )


def load_prompt(path: Path, sample_rate: int) -> Signal:
    """Read a prompt's samples at the rate of the take. Raises :class:`TakeError` ``take.prompt``."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise TakeError(
            "take.prompt",
            f"the prompt {path} cannot be read: {error}",
            "the worker writes it again from the catalogue",
        ) from error
    signal: Signal = samples.mean(axis=1, dtype=np.float32)
    if not np.any(signal):
        raise TakeError("take.prompt", f"the prompt {path} is silent", "use another announcement")
    return resample(signal, rate, sample_rate)


def resample(signal: Signal, rate: int, to: int) -> Signal:
    """Resample a short sound through its whole spectrum (exact for frequencies that both rates can
    represent)."""
    if rate == to:
        return signal
    length = len(signal) * to // rate
    spectrum = np.fft.rfft(signal)
    fitted = np.zeros(length // 2 + 1, dtype=spectrum.dtype)
    common = min(len(spectrum), len(fitted))
    fitted[:common] = spectrum[:common]
    return np.fft.irfft(fitted, length).astype(np.float32) * np.float32(length / len(signal))


def find_last_playing(
    prompt: Signal, sound: wav.Wav, channel: int, until_ms: int | None = None
) -> Match | None:
    """The last whole playing of a prompt at the take's rate; ``None`` if there is none. It is searched for
    before ``until_ms`` first, and only then in the rest."""
    rate, read = sound.sample_rate, _reader(sound, channel)
    near = sound.frames if until_ms is None else min(sound.frames, until_ms * rate // 1000)
    match = _last_whole(prompt, read, 0, near, rate)
    if match is None and near < sound.frames:
        match = _last_whole(prompt, read, max(0, near - len(prompt)), sound.frames, rate)
    return match


def find_playings(prompt: Signal, sound: wav.Wav, channel: int, from_ms: int, until_ms: int) -> list[Match]:
    """Every whole playing of a prompt between two places of a take (milliseconds of audio), in order."""
    rate, read = sound.sample_rate, _reader(sound, channel)
    start, stop = from_ms * rate // 1000, min(until_ms * rate // 1000, sound.frames)
    return list(_whole_playings(prompt, read, start, stop, rate))


def _reader(sound: wav.Wav, channel: int) -> Callable[[int, int], Signal]:
    def read(start: int, stop: int) -> Signal:
        parts = [block[:, channel] for block in wav.read_blocks(sound, 1 << 16, start, stop)]
        return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, dtype=np.float32)

    return read


def _last_whole(
    prompt: Signal, read: Callable[[int, int], Signal], start: int, stop: int, rate: int
) -> Match | None:
    return next(_whole_playings(prompt, read, start, stop, rate, last_first=True), None)


def _whole_playings(
    prompt: Signal,
    read: Callable[[int, int], Signal],
    start: int,
    stop: int,
    rate: int,
    last_first: bool = False,
) -> Iterator[Match]:
    places = [place for part in _candidates(prompt, read, start, stop, rate) for place in part]
    for place in sorted(places, reverse=last_first):
        match = _match_pieces(prompt, read, place, stop, rate)
        if match is not None:
            yield match


def _candidates(
    prompt: Signal, read: Callable[[int, int], Signal], start: int, stop: int, rate: int
) -> Iterator[list[int]]:
    """Where the prompt may start, from correlating it with the audio block by block (overlap-save)."""
    if stop - start < len(prompt):
        return
    # Four prompt lengths at once, or all of the audio if that is less.
    size = 1 << (min(4 * len(prompt), stop - start) - 1).bit_length()
    step = size - len(prompt) + 1
    spectrum = np.conj(np.fft.rfft(prompt, size))
    own = float(np.dot(prompt.astype(np.float64), prompt))
    apart = APART_MS * rate // 1000
    for at in range(start, stop - len(prompt) + 1, step):
        audio = read(at, min(at + size, stop))
        product = np.fft.irfft(np.fft.rfft(audio, size) * spectrum, size)
        count = min(step, len(audio) - len(prompt) + 1)
        energy = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
        window = energy[len(prompt) : len(prompt) + count] - energy[:count]
        # Next to silence a rounding error would pass for a match: require a ten-thousandth of the level.
        floor = own * 32768.0**2 * 1e-8
        likeness = product[:count] / np.sqrt(np.maximum(window, floor) * own)
        yield [at + peak for peak in _peaks(likeness, apart)]


def _peaks(likeness: NDArray[np.floating], apart: int) -> list[int]:
    """Local maxima above :data:`CANDIDATE`, at least ``apart`` from one another."""
    found: list[int] = []
    values = np.where(likeness >= CANDIDATE, likeness, 0)
    while True:
        peak = int(np.argmax(values))
        if values[peak] <= 0:
            return found
        found.append(peak)
        values[max(0, peak - apart) : peak + apart] = 0


def _match_pieces(
    prompt: Signal, read: Callable[[int, int], Signal], place: int, stop: int, rate: int
) -> Match | None:
    """The playing at ``place`` if every piece of the prompt is in it."""
    slip = SLIP_MS * rate // 1000
    size = PIECE_MS * rate // 1000
    first = max(0, place - slip)
    audio = read(first, min(place + len(prompt) + slip, stop))
    level = float(np.sqrt(np.mean(prompt.astype(np.float64) ** 2)))
    lags: list[int] = []
    scores: list[float] = []
    weights: list[float] = []
    for at in range(0, len(prompt), size):
        piece = prompt[at : at + size]
        energy = float(np.dot(piece, piece))
        if energy < len(piece) * (LOW * level) ** 2:
            continue
        left = place + at - slip - first
        score, lag = _best_lag(piece, audio, left, 2 * slip + 1)
        lags.append(lag - slip)
        scores.append(score)
        weights.append(energy)
    if not _pieces_agree(scores, lags, slip, near=max(1, rate // 4000)):
        return None
    start, end = place + lags[0], place + len(prompt) + lags[-1]
    if start < 0 or end > stop:
        return None
    return Match(start, end, float(np.average(scores, weights=weights)))


def _best_lag(piece: Signal, audio: Signal, left: int, count: int) -> tuple[float, int]:
    """The best correlation of a piece within ``count`` lags from ``left``, and its lag. Lags outside the
    audio count as zero; the middle one wins a tie, so that a steady tone does not slip."""
    skip = max(0, -left)
    part = audio[left + skip : left + count - 1 + len(piece)]
    if len(part) < len(piece):
        return 0.0, count // 2
    size = 1 << (len(part) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(piece, size)), size)
    product = product[: len(part) - len(piece) + 1]
    energy = np.concatenate([[0.0], np.cumsum(part.astype(np.float64) ** 2)])
    window = energy[len(piece) :] - energy[: len(product)]
    own = float(np.dot(piece.astype(np.float64), piece))
    likeness = product / np.sqrt(np.maximum(window, own * 32768.0**2 * 1e-8) * own)
    middle = count // 2 - skip
    if 0 <= middle < len(likeness) and likeness[middle] >= float(likeness.max()) - 0.01:
        return float(likeness[middle]), count // 2
    lag = int(np.argmax(likeness))
    return float(likeness[lag]), lag + skip


def _pieces_agree(scores: list[float], lags: list[int], slip: int, near: int) -> bool:
    """Whether every piece matches, at the place that its neighbours predict. The piece that contains a slip
    is exempt: its neighbours must both match, apart by the slip. (A vowel resembles itself one pitch period
    later, so a piece that agrees with no neighbour matches by chance.)"""
    matches = [
        score >= PIECE
        and any(abs(lag - other) <= near for other in (*lags[max(0, i - 1) : i], *lags[i + 1 : i + 2]))
        for i, (score, lag) in enumerate(zip(scores, lags, strict=True))
    ]
    for i, good in enumerate(matches):
        if good:
            continue
        inside = 0 < i < len(matches) - 1 and matches[i - 1] and matches[i + 1]
        if not inside or scores[i] < SLIPPED or abs(lags[i - 1] - lags[i + 1]) <= near:
            return False
    good_lags = [lag for lag, good in zip(lags, matches, strict=True) if good]
    return bool(good_lags) and max(good_lags) - min(good_lags) <= slip
