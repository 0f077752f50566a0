"""A take's WAV as the switch left it: parsed chunk by chunk, its length taken from the file's size.

A killed switch leaves a header that says "no data" (RIFF size 8, data size 0), and a writer that stops
half-way one that says too little. Libraries trust the header; this trusts the file's size, and everything
made from the take gets a correct header. The take itself is never altered, so a later look finds the same.

Format: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" (RIFF WAVE).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from recorder.errors import TakeError

Samples = NDArray[np.int16]

RATES = (8000, 12000, 16000, 24000, 32000, 44100, 48000)
"""Rates that a channel of the switch can have."""

FRAME_BYTES = 4
"""One sample of each of two channels, 16 bit."""

_PCM, _EXTENSIBLE = 1, 0xFFFE
_PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")
_MOST_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class Wav:
    """The place of a take's audio in its file.

    ``data_offset`` in bytes; ``frames``: samples per channel that really exist; ``header_broken``: the header
    differs (the switch was killed while writing). ``holes``: inserted silence (``missing_audio.py``), as the
    frame of the file that it precedes, and its number of frames, which ``frames`` includes."""

    path: Path
    sample_rate: int
    data_offset: int
    frames: int
    header_broken: bool
    holes: tuple[tuple[int, int], ...] = ()

    @property
    def duration_ms(self) -> int:
        """Length in milliseconds of audio, rounded up."""
        return -(-self.frames * 1000 // self.sample_rate)


def impossible_take(path: Path, why: str) -> TakeError:
    """The error for a take that can never become a recording: set it aside with ``why``."""
    return TakeError(
        "take.impossible",
        f"{path}: {why}",
        "the take is set aside in the spool's quarantine folder and destroyed after its date",
    )


def inspect(path: Path) -> Wav:
    """Find the sound in a take's file: stereo PCM16 at one of :data:`RATES`.

    Raises :class:`TakeError` ``take.impossible`` with the reason: missing, not WAV, no format chunk, not 16
    bit PCM, mono, an unsupported rate, no sound.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _parse(path, file, size)
    except FileNotFoundError:
        raise impossible_take(path, "the switch left no sound file") from None


def read_blocks(wav: Wav, frames: int, start: int = 0, stop: int | None = None) -> Iterator[Samples]:
    """The sound from frame ``start`` to ``stop`` (default: the end), ``frames`` at a time, each an array of
    shape (n, 2). A long call is never in memory whole. Raises ``OSError``."""
    end = wav.frames if stop is None else min(stop, wav.frames)
    with open(wav.path, "rb") as file:
        for first, in_file, count in _pieces(wav):
            at, last = max(first, start), min(first + count, end)
            if in_file is not None and at < last:
                file.seek(wav.data_offset + (in_file + at - first) * FRAME_BYTES)
            while at < last:
                frame_count = min(frames, last - at)
                yield (
                    np.zeros((frame_count, 2), np.int16)
                    if in_file is None
                    else _read(wav.path, file, frame_count)
                )
                at += frame_count


def _pieces(wav: Wav) -> Iterator[tuple[int, int | None, int]]:
    """For each piece of the sound: its first frame, its place in the file (``None`` for inserted silence),
    and its number of frames."""
    at = in_file = 0
    for place, silent in wav.holes:
        yield at, in_file, place - in_file
        yield at + place - in_file, None, silent
        at, in_file = at + place - in_file + silent, place
    yield at, in_file, wav.frames - at


def _read(path: Path, file: BinaryIO, frames: int) -> Samples:
    content = file.read(frames * FRAME_BYTES)
    if len(content) != frames * FRAME_BYTES:
        raise impossible_take(path, "it shrank while it was read")
    return np.frombuffer(content, dtype="<i2").reshape(-1, 2)


def wav_header(sample_rate: int, frames: int) -> bytes:
    """The 44 bytes before stereo PCM16 of that length. If the length exceeds 32 bits, the fields have their
    largest value, as in live WAV."""
    data = frames * FRAME_BYTES
    most = 0xFFFFFFFF
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        min(data + 36, most),
        b"WAVE",
        b"fmt ",
        16,
        _PCM,
        2,
        sample_rate,
        sample_rate * FRAME_BYTES,
        FRAME_BYTES,
        16,
        b"data",
        min(data, most),
    )


def _parse(path: Path, file: BinaryIO, size: int) -> Wav:
    start = file.read(12)
    if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise impossible_take(path, "it is not a WAV file" if size else "it is empty")
    sample_rate: int | None = None
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            if sample_rate is None:
                raise impossible_take(path, "its sound comes before its format")
            return _measure(path, file, size, sample_rate, length)
        if name == b"fmt ":
            sample_rate = _parse_format(path, file.read(min(length, 64)))
            file.seek(length - min(length, 64) + length % 2, 1)
        else:
            file.seek(length + length % 2, 1)
    raise impossible_take(path, "it has no format" if sample_rate is None else "it has no sound")


def _parse_format(path: Path, content: bytes) -> int:
    if len(content) < 16:
        raise impossible_take(path, "its format is cut short")
    code, channels, rate, _, align, bits = struct.unpack("<HHIIHH", content[:16])
    if code == _EXTENSIBLE and content[24:40] == _PCM_GUID:
        code = _PCM
    if code != _PCM or bits != 16:
        raise impossible_take(path, f"it has format {code} with {bits} bits, not PCM with 16")
    if channels != 2:
        raise impossible_take(
            path, f"it has {channels} channel(s), not two, so it does not show who said what"
        )
    if align != FRAME_BYTES:
        raise impossible_take(path, f"its format contradicts itself (block align {align})")
    if rate not in RATES:
        raise impossible_take(path, f"its rate is {rate} Hz, not one of {', '.join(map(str, RATES))}")
    return int(rate)


def _measure(path: Path, file: BinaryIO, size: int, sample_rate: int, length: int) -> Wav:
    """The length of the sound: the header's if it fits the file, else the rest of the file."""
    offset = file.tell()
    rest = size - offset
    fits = (
        length > 0
        and length % FRAME_BYTES == 0
        and length <= rest
        and _only_chunks(file, offset + length, size)
    )
    frames = (length if fits else rest) // FRAME_BYTES
    if frames <= 0:
        raise impossible_take(path, "it has no sound")
    return Wav(path, sample_rate, offset, frames, header_broken=not fits)


def _only_chunks(file: BinaryIO, at: int, size: int) -> bool:
    """Whether only whole chunks (tags, say) follow the sound up to the very end; anything else is sound that
    a too short header omits."""
    for _ in range(_MOST_CHUNKS):
        if at == size:
            return True
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return False
        name, length = struct.unpack("<4sI", head)
        if not all(0x20 <= letter < 0x7F for letter in name):
            return False
        at += 8 + length + length % 2
        if at == size + 1 and length % 2:  # some writers leave out the last padding byte
            return True
        if at > size:
            return False
    return False
