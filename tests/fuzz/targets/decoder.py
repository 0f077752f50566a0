"""Any file as an imported recording: it becomes a two-channel WAV of the right length, or is refused with a
reason, and never takes more than the available room."""

from __future__ import annotations

import io
import wave
from itertools import product

import numpy as np

from recorder.audio import wav
from recorder.audio.decoder import unpack
from recorder.audio.decoder_process import NotSound
from tests.fuzz.documents import scratch
from tests.unit.audio.crafted_files import encoded, movie_with_reference, tone

INSTRUMENT = ("recorder.audio.decoder",)
LONGEST = 4000

ROOM = 1 << 20
BLOCK = 1 << 19
"""The size by which one packet may exceed the limit before it is checked."""


def check(data: bytes) -> None:
    out = io.BytesIO()
    try:
        audio = unpack(io.BytesIO(data), out, ROOM)
    except NotSound as error:
        assert str(error)
        assert len(out.getvalue()) <= ROOM + BLOCK
        return
    out.seek(0)
    with wave.open(out) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (2, 2)
        assert sound.getframerate() in wav.RATES
        frames = sound.getnframes()
        samples = np.frombuffer(sound.readframes(frames), "<i2").reshape(-1, 2)
    assert 0 < frames == len(samples)
    assert audio.duration_ms == -(-frames * 1000 // sound.getframerate())
    assert len(out.getvalue()) <= ROOM + BLOCK
    assert audio.channels in (1, 2)
    if audio.channels == 1:
        assert np.array_equal(samples[:, 0], samples[:, 1])


def _seeds() -> tuple[bytes, ...]:
    folder = scratch()
    kinds = (("a.flac", "flac"), ("a.mp3", "mp3"), ("a.ogg", "libopus"), ("a.m4a", "aac"), ("a.aac", "aac"))
    contents = [encoded(folder / name, codec, seconds=0.1).read_bytes() for name, codec in kinds]
    shapes = product((1, 2, 3), (8000, 44_100, 50))
    contents += [tone(folder / "a.wav", 0.02, channels, rate).read_bytes() for channels, rate in shapes]
    contents.append(movie_with_reference(folder / "a.mov", folder / "a.wav").read_bytes())
    return (
        *contents,
        b"#EXTM3U\n#EXTINF:2,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile a.wav\n",
    )


SEEDS = _seeds()
