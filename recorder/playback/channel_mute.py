"""A recording's audio as WAV: whole, or with only the left channel, the person's own voice; the other channel
is then zeros.

It is decoded as it is read and written as WAV, whose header states the length first. Only what the next piece
needs is in memory, and nothing is on disk.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Final

import av
import numpy as np

from recorder.errors import SealError
from recorder.seal.manifest import Manifest

NAME: Final = "audio.wav"
CHANNELS: Final = 2
WIDTH: Final = 2
"""Bytes per sample."""

TELEPHONE_RATE: Final = 8000
"""Samples per second on the telephone."""

_HEADER: Final = 44


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file that is read once, from start to end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        chunk, self._left = self._left[:size], self._left[size:]
        return chunk


def length(manifest: Manifest) -> int:
    """Bytes of the WAV."""
    return _HEADER + _frames(manifest) * CHANNELS * WIDTH


def only_left(pieces: Iterator[bytes], manifest: Manifest) -> Iterator[bytes]:
    """The WAV with zeros in the right channel, in pieces. Raises as :func:`as_wav`."""
    return as_wav(pieces, manifest, mute_right=True)


def as_wav(pieces: Iterator[bytes], manifest: Manifest, *, mute_right: bool = False) -> Iterator[bytes]:
    """The WAV, in pieces. Raises as ``pieces``, and :class:`SealError` (``seal.no_sound``) if the sealed
    object is not audio."""
    yield _header(_frames(manifest), manifest.sample_rate)
    for samples in _samples(pieces, manifest, manifest.sample_rate):
        if mute_right:
            samples[:, 1] = 0
        yield samples.tobytes()


def as_telephone(pieces: Iterator[bytes], manifest: Manifest) -> Iterator[bytes]:
    """The sound as a telephone has it, both channels in one: 16 bit at :data:`TELEPHONE_RATE`, in pieces.
    Raises as :func:`as_wav`."""
    for samples in _samples(pieces, manifest, TELEPHONE_RATE):
        both = samples.sum(axis=1, dtype=np.int32)
        yield np.clip(both, -32768, 32767).astype("<i2").tobytes()


def _samples(pieces: Iterator[bytes], manifest: Manifest, rate: int) -> Iterator[np.ndarray]:
    """Frames of two samples each, as many as the recording is long. Raises as :func:`as_wav`."""
    left = manifest.duration_ms * rate // 1000
    try:
        for samples in _decoded(pieces, rate):
            samples = samples[:left]
            left -= len(samples)
            yield samples
    except av.FFmpegError as error:
        raise SealError(
            "seal.no_sound",
            f"the sound of {manifest.recording} cannot be read: {error}",
            "verify the recording: `accord recording verify`",
        ) from None
    while left > 0:
        # A codec's last frame may be longer or shorter than the input.
        some = min(left, rate)
        left -= some
        yield np.zeros((some, CHANNELS), "<i2")


def _decoded(pieces: Iterator[bytes], rate: int) -> Iterator[np.ndarray]:
    """Frames of two samples each."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate)
    # The audio is sealed; still, FFmpeg need not guess among two hundred formats.
    options = {"format_whitelist": "ogg,wav,matroska", "codec_whitelist": "opus,libopus,pcm_s16le"}
    with av.open(_Pieces(pieces), "r", options=options | {"protocol_whitelist": "none"}) as sound:
        for frame in sound.decode(audio=0):
            for part in resampler.resample(frame):
                yield part.to_ndarray().reshape(-1, CHANNELS).astype("<i2")
        for part in resampler.resample(None):
            yield part.to_ndarray().reshape(-1, CHANNELS).astype("<i2")


def _frames(manifest: Manifest) -> int:
    return manifest.duration_ms * manifest.sample_rate // 1000


def _header(frames: int, rate: int) -> bytes:
    """A RIFF header for 16 bit PCM with two channels."""
    size, block = frames * CHANNELS * WIDTH, CHANNELS * WIDTH
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, CHANNELS, rate, rate * block, block, 8 * WIDTH)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
