"""Any file as a take's WAV: read correctly or refused.  Correct is what libsndfile reads if it reads 16 bit
stereo and the header is true; otherwise every frame in the file."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile

from recorder.audio import wav
from recorder.errors import TakeError
from tests.fuzz.choices import Choices
from tests.fuzz.documents import scratch

INSTRUMENT = ("recorder.audio.wav",)
LONGEST = 600

_path = scratch() / "audio.wav"


def riff(choices: Choices) -> bytes:
    """A file of chunks with slightly false headers."""
    out = bytearray()
    frames = choices.below(40)
    for _ in range(1 + choices.below(5)):
        name = choices.pick(
            (b"fmt ", b"data", b"LIST", b"fact", b"JUNK", b"\x00\x00\x00\x00", b"ds64", b"bext")
        )
        if name == b"fmt ":
            code, bits = choices.pick(
                ((1, 16), (1, 16), (1, 8), (1, 24), (3, 32), (7, 8), (0xFFFE, 16), (0, 0))
            )
            channels = choices.pick((2, 2, 2, 1, 0, 6, 65535))
            rate = choices.pick((8000, 16000, 48000, 11025, 0, 0xFFFFFFFF, 44100))
            align = choices.pick((channels * bits // 8 & 0xFFFF, 4, 0, 1))
            content = struct.pack("<HHIIHH", code, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
            if code == 0xFFFE:
                content += struct.pack("<HHI", 22, bits, 3) + choices.pick(
                    (wav._PCM_GUID, bytes.fromhex("0300000000001000800000aa00389b71"), b"\0" * 16, b"")
                )
            content = content[: choices.pick((16, 18, 40, 40, 12, 0))] + choices.blob(4)
        elif name == b"data":
            content = choices.take(frames * 4).ljust(frames * 4, b"\x05")
        else:
            content = choices.blob(20)
        length = choices.pick(
            (len(content),) * 5 + (0, 0xFFFFFFFF, len(content) + 1, len(content) - 1, 7, 1 << 31)
        )
        out += name + struct.pack("<I", length & 0xFFFFFFFF) + content
        out += b"\0" * (len(content) % 2 if choices.below(4) else 0)
    size = choices.pick((len(out) + 4, len(out) + 4, 8, 0, 0xFFFFFFFF, 4))
    return choices.pick((b"RIFF", b"RIFF", b"RF64", b"RIFX")) + struct.pack("<I", size) + b"WAVE" + bytes(out)


def check(data: bytes) -> None:
    choices = Choices(data)
    content = riff(choices) if choices.below(3) else choices.rest()
    _path.write_bytes(content)
    try:
        sound = wav.inspect(_path)
    except TakeError as error:
        assert error.error_id == "take.impossible"
        if plain_pcm(content):
            raise AssertionError(f"refused a plain WAV: {error}") from None
        return
    assert sound.sample_rate in wav.RATES
    assert 0 < sound.data_offset + sound.frames * wav.FRAME_BYTES <= len(content)
    assert sound.frames > 0
    assert sound.duration_ms >= sound.frames * 1000 / sound.sample_rate
    samples = np.concatenate(list(wav.read_blocks(sound, 7)))
    end = sound.data_offset + sound.frames * wav.FRAME_BYTES
    raw = np.frombuffer(content[sound.data_offset : end], "<i2").reshape(-1, 2)
    assert np.array_equal(samples, raw)
    if sound.header_broken:
        # Everything up to the last complete frame: no speech is left out.
        assert end > len(content) - wav.FRAME_BYTES
    else:
        reference = as_libsndfile(content)
        if reference is not None:
            rate, other = reference
            assert rate == sound.sample_rate
            assert np.array_equal(other, samples), "libsndfile reads another sound"
    rewritten = wav.wav_header(sound.sample_rate, sound.frames) + samples.tobytes()
    again, _ = soundfile.read(io.BytesIO(rewritten), dtype="int16", always_2d=True)
    assert np.array_equal(again, samples)


def as_libsndfile(content: bytes) -> tuple[int, np.ndarray] | None:
    """What libsndfile reads, if it is 16 bit stereo in one format and one chunk."""
    if content.count(b"fmt ") != 1 or content.count(b"data") != 1 or content[:4] != b"RIFF":
        return None
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if (file.format, file.subtype, file.channels) not in (
                ("WAV", "PCM_16", 2),
                ("WAVEX", "PCM_16", 2),
            ):
                return None
            return file.samplerate, file.read(dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, TypeError, ValueError):
        return None


def plain_pcm(content: bytes) -> bool:
    """The common header, before some audio."""
    if len(content) < 48 or content[:4] != b"RIFF" or content[8:16] != b"WAVEfmt ":
        return False
    fields = struct.unpack("<IHHIIHH", content[16:36])
    rate = fields[3]
    return fields == (16, 1, 2, rate, rate * 4, 4, 16) and rate in wav.RATES and content[36:40] == b"data"


_SOUND = bytes(range(200))
SEEDS = (
    b"\x00" + wav.wav_header(8000, 50) + _SOUND,
    b"\x00" + wav.wav_header(16000, 0) + _SOUND,
    b"\x00" + wav.wav_header(8000, 20) + _SOUND,
    b"\x00" + wav.wav_header(8000, 50) + _SOUND + b"LIST\x04\x00\x00\x00abcd",
    b"\x00"
    + wav.wav_header(8000, 50)[:36]
    + b"fact\x04\x00\x00\x00\x32\x00\x00\x00"
    + wav.wav_header(8000, 50)[36:]
    + _SOUND,
    *(bytes([1, 20, 2, 0, n % 8, 0, n % 7, 0, n, n, 1, 0, n * 3 % 256, n, 0]) for n in range(20)),
)
