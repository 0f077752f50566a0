"""What the telephones say, and how many of its frames a recording has lost.

Both say speech with a faint noise under it, in frames of 20 ms no two of which are equal. A switch that
records a call without transcoding writes exactly those samples, so every frame is identifiable, and a missing
one is known without guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.int16]

RATE = 8000
FRAME = 160
"""Samples in a frame of 20 ms, the payload of one packet."""

REPEATED = 50
"""How far back a repeated frame may come from; it is none of the next ones."""

_KEY = 8
_PRIME = np.uint64(0x100000001B3)


def linear(ulaw: npt.NDArray[np.uint8]) -> Samples:
    """The samples for G.711 mu-law bytes (ITU-T G.711)."""
    inverted = (~ulaw).astype(np.int32)
    inverted &= 0xFF
    value = (((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)
    return np.where(inverted & 0x80, 0x84 - value, value - 0x84).astype(np.int16)


def _ulaw(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Mu-law bytes, the nearest value for each sample."""
    codes = np.arange(256, dtype=np.uint8)
    values = linear(codes)
    order = np.argsort(values, kind="stable")
    codes, values = codes[order], values[order]
    middles = (values[1:].astype(float) + values[:-1]) / 2
    return codes[np.searchsorted(middles, samples)]


def write_speech(source: Path, target: Path, seed: int) -> None:
    """Make a telephone's sound from a WAV file: raw mu-law, whole frames, no two equal."""
    speech, rate = soundfile.read(source, dtype="int16")
    assert rate == RATE, source
    length = len(speech) // FRAME * FRAME
    noise = np.random.default_rng(seed).integers(-40, 41, length)
    target.write_bytes(_ulaw(np.clip(speech[:length].astype(float) + noise, -30000, 30000)).tobytes())


@dataclass(frozen=True, slots=True)
class Counted:
    """One channel of one recording: ``frames`` of the telephone's that are in it whole, ``lost_frames``
    between the first and the last of them; ``breaks``: where, as samples, and how many each time; ``first``:
    the sample at which they start."""

    frames: int
    lost_frames: int
    breaks: tuple[tuple[int, int], ...]
    first: int | None


class Speech:
    """A telephone's sound, searched for in recordings."""

    def __init__(self, path: Path) -> None:
        self._sound = linear(np.frombuffer(path.read_bytes(), np.uint8))
        self._count = len(self._sound) // FRAME
        starts = np.arange(self._count) * FRAME
        hashes = _hashes(self._sound)[starts]
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._order = hashes[order], order
        frames = {self._sound[at : at + FRAME].tobytes() for at in starts}
        assert len(frames) == self._count, "two frames are alike"

    def count(self, channel: Samples) -> Counted:
        """Which of its frames a channel contains."""
        frames, breaks = 0, []
        found = self._next(channel, 0)
        first = None if found is None else found[0]
        while found is not None:
            at, index = found
            whole = self._run(channel[at:], index)
            frames += whole
            end, last = at + whole * FRAME, index + whole - 1
            found = self._next(channel, end)
            while found is not None and (last - found[1]) % self._count < REPEATED:
                found = self._next(channel, found[0] + FRAME)
            if found is not None:
                breaks.append((end, (found[1] - last - 1) % self._count))
        return Counted(frames, sum(frames_lost for _, frames_lost in breaks), tuple(breaks), first)

    def _run(self, channel: Samples, index: int) -> int:
        """Whole consecutive frames from here on."""
        at, size = 0, 1 << 12
        shifted = np.concatenate([self._sound[index * FRAME :], self._sound[: index * FRAME]])
        while at < len(channel):
            piece = channel[at : at + size]
            expected_piece = np.take(shifted, np.arange(at, at + len(piece)), mode="wrap")
            wrong = np.flatnonzero(piece != expected_piece)
            if len(wrong):
                return (at + int(wrong[0])) // FRAME
            at, size = at + len(piece), size * 2
        return len(channel) // FRAME

    def _next(self, channel: Samples, start: int) -> tuple[int, int] | None:
        """The first whole frame at or after a sample: where, and which."""
        step = 1 << 14
        for begin in range(start, len(channel) - FRAME + 1, step):
            piece = channel[begin : begin + step + FRAME]
            hashes = _hashes(piece)[: min(step, len(piece) - FRAME + 1)]
            places = np.searchsorted(self._hashes, hashes)
            places[places == self._count] = 0
            for at in np.flatnonzero(self._hashes[places] == hashes):
                index = int(self._order[places[at]])
                sound = self._sound[index * FRAME : (index + 1) * FRAME]
                if np.array_equal(piece[at : at + FRAME], sound):
                    return begin + int(at), index
        return None


def _hashes(sound: Samples) -> npt.NDArray[np.uint64]:
    """A hash of the few samples that start at each one."""
    words = sound.astype(np.uint16).astype(np.uint64)
    out = np.zeros(max(0, len(words) - _KEY + 1), np.uint64)
    for shift in range(_KEY):
        out *= _PRIME
        out ^= words[shift : shift + len(out)]
    return out


def read_channels(path: Path) -> tuple[Samples, Samples]:
    """Left and right of a two-channel WAV as the switch leaves it, whatever its header says."""
    raw = path.read_bytes()
    at = raw.index(b"data") + 8
    body = np.frombuffer(raw[at : at + (len(raw) - at) // 4 * 4], "<i2").reshape(-1, 2)
    return np.ascontiguousarray(body[:, 0]), np.ascontiguousarray(body[:, 1])
