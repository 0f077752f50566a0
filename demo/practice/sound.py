"""Sound in the practice switch: 8 kHz, PCM16, in frames of 20 ms."""

from __future__ import annotations

import os
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recorder.errors import SwitchError

RATE = 8000
FRAME = 160
"""Samples in a frame of 20 ms."""
FRAME_SECONDS = FRAME / RATE

Samples = npt.NDArray[np.int16]

SILENCE: Samples = np.zeros(FRAME, dtype=np.int16)


@lru_cache(maxsize=64)
def _load(path: Path, _changed_ns: int) -> Samples:
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path} is not 8 kHz, mono, 16 bit")
        return np.array(np.frombuffer(file.readframes(file.getnframes()), dtype="<i2"), dtype=np.int16)


def load(path: Path) -> Samples:
    """The samples of a WAV file (8 kHz, mono, PCM16).

    Raises :class:`SwitchError` (``practice.sound``) if it cannot be played.
    """
    try:
        return _load(path, path.stat().st_mtime_ns)
    except (OSError, EOFError, ValueError, wave.Error) as error:
        raise SwitchError(
            "practice.sound", f"{path} cannot be played: {error}", "give a WAV of 8 kHz, mono, 16 bit"
        ) from error


def as_on_the_line(samples: Samples) -> Samples:
    """A voice after G.711 mu-law (ITU-T G.711), as from a phone."""
    x = np.clip(samples.astype(np.int32), -32635, 32635)
    magnitude = np.abs(x) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    back = (((mantissa << 3) + 132) << exponent) - 132
    return np.array(np.where(x < 0, -back, back), dtype=np.int16)


class Player:
    """A sound being played, one frame at a time; the last frame is padded with silence."""

    def __init__(self, samples: Samples, *, repeat: bool = False) -> None:
        self._samples = samples
        self._repeat = repeat
        self.at = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left to play."""
        return not self._repeat and self.at >= len(self._samples)

    def frame(self) -> Samples:
        """The next 20 ms."""
        if self._repeat and self.at >= len(self._samples):
            self.at = 0
        piece = self._samples[self.at : self.at + FRAME]
        self.at += len(piece)
        if len(piece) < FRAME:
            piece = np.concatenate([piece, SILENCE[len(piece) :]])
        return piece


class Tape:
    """A two-channel WAV being written: left what the leg says, right what it hears.

    As with libsndfile under FreeSWITCH, the header says that the file is empty until it is closed: a switch
    that dies leaves a RIFF size of 8 and a data size of 0. ``buffered`` keeps up to two seconds unwritten,
    which ``enable_file_write_buffering=false`` turns off. Raises ``OSError``.
    """

    _BUFFER = 2 * RATE * 4

    def __init__(self, path: Path, recording_variables: dict[str, str], *, buffered: bool) -> None:
        self.path = path
        self.variables = recording_variables
        self._before = 0
        """Samples per channel that the file had when it was opened again (``RECORD_APPEND``)."""
        self.frames = 0
        self.failed = False
        self.masked = False
        self._buffered = buffered
        self._unwritten = bytearray()
        path.parent.mkdir(parents=True, exist_ok=True)
        if recording_variables.get("RECORD_APPEND") == "true" and path.exists():
            self._before = (path.stat().st_size - len(_header(0, riff_size=8))) // 4
            self._file = open(path, "r+b", buffering=0)  # noqa: SIM115  # open for the length of a call
            self._file.seek(0, os.SEEK_END)
            return
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        self._file.write(_header(0, riff_size=8))

    @property
    def samples(self) -> int:
        """Samples per channel."""
        return self.frames * FRAME

    def write(self, left: Samples, right: Samples) -> None:
        """One frame of 20 ms; zeros while it is masked."""
        if self.masked:
            left = right = SILENCE
        self._unwritten += np.stack([left, right], axis=1).astype("<i2").tobytes()
        self.frames += 1
        if not self._buffered or len(self._unwritten) >= self._BUFFER:
            self._flush()

    def close(self) -> None:
        """Write the rest and the true header. Raises ``OSError``."""
        if self._file.closed:
            return
        self._flush()
        size = (self._before + self.samples) * 4
        self._file.seek(0)
        self._file.write(_header(size, riff_size=36 + size))
        self._file.close()

    def abandon(self) -> None:
        """Leave the file as a killed switch does."""
        self._unwritten.clear()
        self._file.close()

    def length_on_disk(self) -> int:
        """Bytes in the file; 0 if somebody has removed it, which the real switch ignores."""
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0

    def _flush(self) -> None:
        self._file.write(self._unwritten)
        self._unwritten.clear()


def _header(data_size: int, *, riff_size: int) -> bytes:
    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little")

    return (
        b"RIFF" + number(riff_size, 4) + b"WAVEfmt " + number(16, 4) + number(1, 2) + number(2, 2)
        + number(RATE, 4) + number(RATE * 4, 4) + number(4, 2) + number(16, 2)
        + b"data" + number(data_size, 4)
    )  # fmt: skip
