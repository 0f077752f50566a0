"""WAV files as a switch leaves them, complete and damaged."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorder.audio import wav
from recorder.errors import TakeError

SOUND = np.arange(-4000, 4000, dtype=np.int16).repeat(2).reshape(-1, 2)


def riff(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for name, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def fmt(
    code: int = 1, channels: int = 2, rate: int = 8000, bits: int = 16, align: int | None = None
) -> bytes:
    align = channels * bits // 8 if align is None else align
    return struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits)


def put(folder: Path, content: bytes) -> Path:
    path = folder / "audio.wav"
    path.write_bytes(content)
    return path


def read(path: Path, block: int = 1000) -> tuple[wav.Wav, np.ndarray]:
    found = wav.inspect(path)
    return found, np.concatenate(list(wav.read_blocks(found, block)))


def test_reads_a_whole_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "audio.wav", SOUND, 8000, subtype="PCM_16")
    found, samples = read(tmp_path / "audio.wav")
    assert (found.sample_rate, found.frames, found.header_broken) == (8000, 8000, False)
    assert found.duration_ms == 1000
    np.testing.assert_array_equal(samples, SOUND)


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [(8, 0), (0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (36 + 4000, 4000), (36, 3), (10**6, 10**6)],
    ids=["killed", "zeros", "live", "too short", "odd", "too long"],
)
def test_corrects_a_wrong_header_by_the_file_size(tmp_path: Path, riff_size: int, data_size: int) -> None:
    content = riff((b"fmt ", fmt()), (b"data", b""), size=riff_size)[:-4]
    path = put(tmp_path, content + struct.pack("<I", data_size) + SOUND.tobytes())
    found, samples = read(path)
    assert found.header_broken
    assert found.frames == 8000
    np.testing.assert_array_equal(samples, SOUND)


def test_ignores_the_partial_frame_of_a_killed_switch(tmp_path: Path) -> None:
    content = riff((b"fmt ", fmt()), (b"data", b""), size=8) + SOUND.tobytes() + b"\x07\x07\x07"
    found, samples = read(put(tmp_path, content))
    np.testing.assert_array_equal(samples, SOUND)
    assert found.header_broken


@pytest.mark.parametrize("padded", [True, False])
def test_ignores_tags_around_the_audio(tmp_path: Path, padded: bool) -> None:
    content = riff((b"LIST", b"odd"), (b"fmt ", fmt()), (b"data", SOUND.tobytes()), (b"LIST", b"odd"))
    found, samples = read(put(tmp_path, content if padded else content[:-1]))
    assert not found.header_broken
    np.testing.assert_array_equal(samples, SOUND)


def test_reads_extensible_pcm16(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "audio.wav", SOUND, 16000, subtype="PCM_16", format="WAVEX")
    found, samples = read(tmp_path / "audio.wav")
    assert found.sample_rate == 16000
    np.testing.assert_array_equal(samples, SOUND)


def test_reads_inserted_silence_at_its_place(tmp_path: Path) -> None:
    content = riff((b"fmt ", fmt()), (b"data", np.arange(1, 2001, dtype="<i2").tobytes()))
    sound = wav.inspect(put(tmp_path, content))
    (original,) = wav.read_blocks(sound, 1000)
    holes = ((0, 5), (400, 30), (400, 1), (1000, 7))
    whole = replace(sound, frames=1043, holes=holes)
    expected = np.insert(original, [at for at, count in holes for _ in range(count)], 0, axis=0)
    for block in (1000, 7):
        np.testing.assert_array_equal(np.concatenate(list(wav.read_blocks(whole, block))), expected)
    part = np.concatenate(list(wav.read_blocks(whole, 16, 398, 440)))
    np.testing.assert_array_equal(part, expected[398:440])


def test_reads_a_stretch(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "audio.wav", SOUND, 8000, subtype="PCM_16")
    found = wav.inspect(tmp_path / "audio.wav")
    parts = list(wav.read_blocks(found, 7, start=11, stop=32))
    assert [len(part) for part in parts] == [7, 7, 7]
    np.testing.assert_array_equal(np.concatenate(parts), SOUND[11:32])
    assert len(np.concatenate(list(wav.read_blocks(found, 4096, start=7990, stop=99999)))) == 10


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"RIFF", "not a WAV"),
        (b"OggS" + bytes(100), "not a WAV"),
        (riff(), "no format"),
        (riff((b"data", b"1234")), "before its format"),
        (riff((b"fmt ", fmt())), "no sound"),
        (riff((b"fmt ", fmt()), (b"data", b"")), "no sound"),
        (riff((b"fmt ", fmt()), (b"data", b"\1\2")), "no sound"),
        (riff((b"fmt ", fmt()[:10]), (b"data", bytes(8))), "cut short"),
        (riff((b"fmt ", fmt(channels=1)), (b"data", bytes(8))), "1 channel"),
        (riff((b"fmt ", fmt(channels=6)), (b"data", bytes(24))), "6 channel"),
        (riff((b"fmt ", fmt(rate=11025)), (b"data", bytes(8))), "11025"),
        (riff((b"fmt ", fmt(rate=0)), (b"data", bytes(8))), "0 Hz"),
        (riff((b"fmt ", fmt(bits=8)), (b"data", bytes(8))), "8 bits"),
        (riff((b"fmt ", fmt(code=7, bits=8)), (b"data", bytes(8))), "format 7"),
        (riff((b"fmt ", fmt(code=3, bits=32)), (b"data", bytes(8))), "format 3"),
        (riff((b"fmt ", fmt(align=3)), (b"data", bytes(12))), "block align 3"),
        (riff(*[(b"junk", b"")] * 100, (b"fmt ", fmt()), (b"data", bytes(8))), "no format"),
    ],
)
def test_impossible_take_has_a_reason(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(TakeError, match=why) as failure:
        wav.inspect(put(tmp_path, content))
    assert failure.value.error_id == "take.impossible"
    assert failure.value.hint


def test_reports_a_missing_sound_file(tmp_path: Path) -> None:
    with pytest.raises(TakeError, match="left no sound"):
        wav.inspect(tmp_path / "audio.wav")


def test_detects_a_file_that_shrinks(tmp_path: Path) -> None:
    path = put(tmp_path, riff((b"fmt ", fmt()), (b"data", SOUND.tobytes())))
    found = wav.inspect(path)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(TakeError, match="shrank"):
        list(wav.read_blocks(found, 1000))


def test_other_readers_accept_the_header(tmp_path: Path) -> None:
    path = put(tmp_path, wav.wav_header(8000, len(SOUND)) + SOUND.tobytes())
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    np.testing.assert_array_equal(samples, SOUND)
    assert wav.wav_header(8000, 2**31)[40:] == b"\xff" * 4


CHUNK = st.tuples(st.sampled_from([b"fmt ", b"data", b"LIST", b"junk"]), st.binary(max_size=64))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(CHUNK, max_size=6).map(lambda chunks: riff(*chunks)),
        st.tuples(st.binary(min_size=16, max_size=40), st.integers(0, 2**32 - 1), st.binary(max_size=99)).map(
            lambda parts: riff((b"fmt ", parts[0])) + b"data" + struct.pack("<I", parts[1]) + parts[2]
        ),
        st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=300)).map(
            lambda parts: riff((b"fmt ", fmt()), (b"data", b""))[:-4] + struct.pack("<I", parts[0]) + parts[1]
        ),
    )
)
@example(riff((b"fmt ", fmt()), (b"data", b"\0" * 8)))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, content)
    try:
        found, samples = read(path)
    except TakeError:
        return  # refused; any other exception fails the test
    assert 0 < found.frames == len(samples)
    assert found.data_offset + found.frames * wav.FRAME_BYTES <= len(content)
    assert content[found.data_offset - 8 : found.data_offset - 4] == b"data"
