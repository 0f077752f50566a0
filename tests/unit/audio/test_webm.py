"""Opus in WebM: the same packets, the same sound at the same time, and the same bytes each time."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from recorder.audio.webm import remux_opus

RATE = 48000


def ogg(seconds: float = 8.0, rate: int = 8000) -> bytes:
    """A tone in the left channel that begins after two seconds, silence in the right."""
    at = np.arange(int(seconds * rate)) / rate
    tone = np.where(at >= 2.0, np.sin(2 * np.pi * 440 * at), 0.0)
    samples = np.stack([tone * 12000, np.zeros_like(tone)], axis=1).astype("<i2")
    target = io.BytesIO()
    options = {"application": "voip", "frame_duration": "60", "compression_level": "1"}
    with av.open(target, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout="stereo", options=options)
        stream.bit_rate = 40_000
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = rate
        for each in (frame, None):
            for packet in stream.encode(each):
                container.mux(packet)
    return target.getvalue()


def packets(content: bytes) -> list[bytes]:
    with av.open(io.BytesIO(content)) as container:
        return [bytes(each) for each in container.demux(audio=0) if each.size]


def sound(content: bytes) -> np.ndarray:
    with av.open(io.BytesIO(content)) as container:
        return np.concatenate([each.to_ndarray() for each in container.decode(audio=0)], axis=1)


def begin_of_tone(content: bytes) -> float:
    """When the tone begins, in seconds of what a player shows as its position."""
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            samples = frame.to_ndarray()
            loud = np.flatnonzero(np.abs(samples[0]) > 0.05)
            if loud.size and frame.time is not None:
                return frame.time + loud[0] / RATE
    raise AssertionError("no tone")


@pytest.fixture(scope="module")
def opus() -> bytes:
    return ogg()


def test_packets_are_the_same(opus) -> None:
    assert packets(remux_opus(opus)) == packets(opus)


def test_sound_is_at_the_same_time(opus) -> None:
    webm = remux_opus(opus)
    assert abs(begin_of_tone(webm) - begin_of_tone(opus)) < 0.002
    assert abs(begin_of_tone(webm) - 2.0) < 0.01


def test_bytes_are_the_same_each_time(opus) -> None:
    assert remux_opus(opus) == remux_opus(opus)


def test_the_index_comes_before_the_sound(opus) -> None:
    webm = remux_opus(opus)
    assert 0 < webm.find(b"\x1c\x53\xbb\x6b") < webm.find(b"\x1f\x43\xb6\x75"), "Cues, then Cluster"


def test_it_is_hardly_longer(opus) -> None:
    assert len(remux_opus(opus)) < len(opus) * 1.1


@pytest.mark.parametrize("content", [b"", b"OggS", b"not a sound" * 100])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(av.error.FFmpegError):
        remux_opus(content)
