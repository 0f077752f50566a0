"""A recording from elsewhere becomes a take: its sound as a WAV of two channels, whatever it was before.

Anything that FFmpeg decodes (WAV, MP3, Ogg, FLAC …).  Of two channels the left is taken for what the outside
party said; one is put into both, and the take says so.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from recorder.errors import TakeError
from recorder.take import wav
from recorder.take.files import replacing

LONGEST_S = 24 * 3600
"""A call is shorter; a file that says more is none."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was written: ``channels`` is how many the file had (1 or 2)."""

    channels: int
    duration_ms: int


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file.  Raises ``OSError``."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def decode(source: Path, target: Path) -> Decoded:
    """Write a file's sound to ``target``, whole or not at all, at its own rate where calls have that one,
    else at 48 kHz.  Raises :class:`TakeError` (``take.not_sound``), ``OSError`` (a full disk)."""
    try:
        with av.open(str(source)) as container:
            if not container.streams.audio:
                raise _no_sound(source, "it holds no sound")
            stream = container.streams.audio[0]
            channels = stream.codec_context.channels
            if channels not in (1, 2):
                raise _no_sound(source, f"it has {channels} channels, neither one nor two")
            rate = stream.codec_context.sample_rate
            rate = rate if rate in wav.RATES else 48_000
            layout = "stereo" if channels == 2 else "mono"
            resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
            with ExitStack() as stack:
                path = stack.enter_context(replacing(target))
                file = stack.enter_context(open(path, "wb"))
                file.write(wav.header(rate, 0))
                frames = 0
                for packet in container.demux(stream):
                    for frame in packet.decode():
                        for part in resampler.resample(frame):
                            frames += _write(file, part, channels)
                    if frames > LONGEST_S * rate:
                        raise _no_sound(source, "it is longer than a day")
                for part in resampler.resample(None):
                    frames += _write(file, part, channels)
                if not frames:
                    raise _no_sound(source, "it holds no sound")
                file.seek(0)
                file.write(wav.header(rate, frames))
    except av.FFmpegError as error:
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            raise
        raise _no_sound(source, f"it cannot be decoded: {error.strerror}") from error
    return Decoded(channels, -(-frames * 1000 // rate))


def _write(file: BinaryIO, frame: av.AudioFrame, channels: int) -> int:
    samples = frame.to_ndarray().reshape(-1, channels)
    both = samples if channels == 2 else np.repeat(samples, 2, axis=1)
    file.write(both.astype("<i2", copy=False).tobytes())
    return len(both)


def _no_sound(path: Path, why: str) -> TakeError:
    return TakeError("take.not_sound", f"{path.name}: {why}", "convert it to WAV, and run the command again")
