"""Crafted sound files, as a stranger could upload them, each as small as possible."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import av
import numpy as np

RATE = 8000


def tone(path: Path, seconds: float = 2.0, channels: int = 2, rate: int = RATE, hertz: float = 440) -> Path:
    at = np.arange(int(rate * seconds))
    samples = (9000 * np.sin(2 * np.pi * hertz * at / rate)).astype("<i2")
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.repeat(samples[:, None], channels, axis=1).tobytes())
    return path


def encoded(path: Path, codec: str, seconds: float = 2.0, rate: int = 48_000, silent: bool = False) -> Path:
    """A tone (or silence) in one channel, in the container that the name says."""
    at = np.arange(int(rate * seconds))
    samples = np.zeros(len(at)) if silent else 9000 * np.sin(2 * np.pi * 440 * at / rate)
    return encode(path, codec, samples, rate)


def encode(path: Path, codec: str, samples: np.ndarray, rate: int) -> Path:
    """Samples of 16 bits in one channel, in the container that the name says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        for start in range(0, len(samples), rate):
            part = samples[start : start + rate].astype("<i2").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def movie_with_reference(path: Path, other: Path) -> Path:
    """A MOV that refers to another file for its sound, by a Macintosh alias."""
    encoded(path, "pcm_s16le", rate=RATE)
    content = bytearray(path.read_bytes())
    name = str(other).encode()
    name += b"\\0" * (len(name) % 2)
    record = (
        bytes(10) + bytes([0]) + bytes(27) + bytes(12) + bytes([0]) + bytes(63) + bytes(16)
        + struct.pack(">hh", -1, -1) + bytes(16) + struct.pack(">HH", 2, len(name)) + name
        + struct.pack(">HH", 0xFFFF, 0)
    )  # fmt: skip
    entry = b"alis" + bytes(4) + record
    entry = struct.pack(">I", len(entry) + 4) + entry
    dref = content.index(b"dref") - 4
    before = struct.unpack(">I", content[dref : dref + 4])[0]
    after = struct.pack(">I", 16 + len(entry)) + b"dref" + bytes(4) + struct.pack(">I", 1) + entry
    content[dref : dref + before] = after
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = content.rindex(box, 0, content.index(b"dref")) - 4
        size = struct.unpack(">I", content[at : at + 4])[0]
        content[at : at + 4] = struct.pack(">I", size + len(after) - before)
    path.write_bytes(content)
    return path
