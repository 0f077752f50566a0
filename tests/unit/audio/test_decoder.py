"""The decoder accepts few formats, opens no other file, and limits its output."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from recorder.audio import decoder, decoder_process, wav
from recorder.audio.decoder import unpack
from recorder.audio.decoder_process import Decoded, NotSound
from recorder.errors import TakeError
from recorder.features.imports import audio
from tests.expected_errors import expect_error
from tests.unit.audio.crafted_files import RATE, encoded, movie_with_reference, tone


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "take").mkdir()
    return tmp_path / "take" / "audio.wav"


def decode(source: Path, target: Path) -> Decoded:
    with audio.open_plain(source) as file:
        return audio.decode(file, source.name, target)


def refused(source: Path, target: Path) -> str:
    """The error id of the refusal; nothing of the file is left."""
    with expect_error(TakeError, "take.not_sound") as failure:
        decode(source, target)
    assert failure.value.message.startswith(source.name)
    assert "convert it" in failure.value.hint
    assert list(target.parent.iterdir()) == []
    return failure.value.message


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "mp3"), ("a.ogg", "libopus"), ("a.flac", "flac"), ("a.m4a", "aac"), ("a.aac", "aac")],
)
def test_accepts_known_formats(tmp_path: Path, name: str, codec: str) -> None:
    out = io.BytesIO()
    with open(encoded(tmp_path / name, codec), "rb") as source:
        audio = unpack(source, out)
    assert audio.channels == 1
    assert 1900 <= audio.duration_ms <= 2200
    out.seek(0)
    with wave.open(out) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 48_000)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
    assert np.array_equal(samples[:, 0], samples[:, 1])
    assert 8000 < np.abs(samples[20_000:60_000]).max() < 10_000


def test_keeps_wav_samples(tmp_path: Path, target: Path) -> None:
    source = tone(tmp_path / "a.wav")
    assert decode(source, target) == Decoded(2, 2000)
    assert target.read_bytes()[44:] == source.read_bytes()[44:]
    assert not list(target.parent.glob(".*"))


def test_accepts_wav_with_unfinished_header(tmp_path: Path, target: Path) -> None:
    content = bytearray(tone(tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = bytes(4)
    (tmp_path / "b.wav").write_bytes(content)
    assert decode(tmp_path / "b.wav", target).duration_ms == 2000


PLAYLISTS = {
    "x.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n",
    "x.ffconcat": "ffconcat version 1.0\nfile '{other}'\n",
    "x.wav": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n",
    "x.mpd": '<?xml version="1.0"?><MPD><Period><BaseURL>{other}</BaseURL></Period></MPD>',
    "x.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_refuses_playlists(tmp_path: Path, target: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = encoded(tmp_path / "elsewhere" / "secret.mp3", "mp3")
    (tmp_path / name).write_text(PLAYLISTS[name].format(other=other))
    assert "is not a WAV, FLAC" in refused(tmp_path / name, target)


def test_refuses_movie_that_refers_to_another_file(tmp_path: Path, target: Path) -> None:
    other = tone(tmp_path / "secret.wav", channels=1)
    source = movie_with_reference(tmp_path / "x.mov", other)
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(source), options=options) as container:
        read = b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))
    assert read[:8000] in other.read_bytes(), "FFmpeg would open it without the restriction"
    assert "no audio" in refused(source, target)


@pytest.mark.parametrize("opener", ["open('/dev/null')", "socket.socket()"])
def test_decoder_opens_no_other_file(opener: str) -> None:
    """Whatever FFmpeg attempts."""
    program = f"import socket\nfrom recorder.audio import decoder\ndecoder.confine()\n{opener}"
    process = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert "Too many open files" in process.stderr


@pytest.mark.parametrize("what", ["link", "folder that is a link", "pipe", "device", "folder"])
def test_opens_regular_files_only(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.wav"
    if what == "link":
        path.symlink_to(tone(tmp_path / "secret.wav"))
    elif what == "folder that is a link":
        (tmp_path / "elsewhere").mkdir()
        tone(tmp_path / "elsewhere" / "x.wav")
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        path = tmp_path / "link" / "x.wav"
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path = Path("/dev/zero")
    else:
        path.mkdir()
    refusal = r"symbolic link|reached through a link|not a regular file"
    with pytest.raises(OSError, match=refusal), audio.open_plain(path):
        pass


@pytest.mark.long
@pytest.mark.parametrize("codec", ["flac", "libopus"])
def test_limits_decoded_length(tmp_path: Path, codec: str) -> None:
    name = {"flac": "bomb.flac", "libopus": "bomb.ogg"}[codec]
    source = encoded(tmp_path / name, codec, seconds=600, rate=8000, silent=True)
    assert source.stat().st_size < 400_000
    out = io.BytesIO()
    with open(source, "rb") as file, pytest.raises(NotSound, match="larger than the limit of 1 MiB"):
        unpack(file, out, room=1 << 20)
    assert len(out.getvalue()) < (1 << 20) + 500_000


def test_refuses_declared_length_before_decoding(tmp_path: Path, target: Path) -> None:
    content = bytearray(encoded(tmp_path / "a.flac", "flac", rate=8000).read_bytes())
    assert content[4] & 0x7F == 0, "STREAMINFO"
    content[22:26] = (13 * 3600 * 8000).to_bytes(4, "big")  # the low 32 bits of 36
    (tmp_path / "long.flac").write_bytes(content)
    assert "longer than 12 hours" in refused(tmp_path / "long.flac", target)


def test_limits_decoded_length_despite_a_false_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "LONGEST_H", 0.01)
    source = encoded(tmp_path / "a.ogg", "libopus", seconds=60, rate=8000, silent=True)
    with open(source, "rb") as file, pytest.raises(NotSound, match=r"longer than 0\.01 hours"):
        unpack(file, io.BytesIO())


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.m4a"])
def test_reports_truncated_file(tmp_path: Path, target: Path, name: str) -> None:
    codec = {"a.wav": "pcm_s16le", "a.flac": "flac", "a.m4a": "aac"}[name]
    source = encoded(tmp_path / name, codec, seconds=6)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    reason = refused(source, target)
    assert "truncated" in reason or "cannot be decoded" in reason


def test_refuses_content_that_contradicts_the_name(tmp_path: Path, target: Path) -> None:
    (tmp_path / "a.wav").write_text("A letter, and no sound at all.\n" * 40)
    assert "is not a WAV" in refused(tmp_path / "a.wav", target)
    (tmp_path / "b.wav").write_bytes(b"")
    assert "is not a WAV" in refused(tmp_path / "b.wav", target)


def test_refuses_unusual_channels_and_rates(tmp_path: Path, target: Path) -> None:
    assert "3 channels" in refused(tone(tmp_path / "a.wav", channels=3), target)
    assert "sample rate" in refused(tone(tmp_path / "b.wav", rate=50), target)
    assert "sample rate" in refused(tone(tmp_path / "c.wav", rate=2_000_000, seconds=0.1), target)


def test_decoder_crash_is_an_error_of_its_file(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "PATIENCE_S", 0.001)
    assert "was not decoded within" in refused(tone(tmp_path / "a.wav"), target)
    monkeypatch.setattr(decoder_process, "COMMAND", ("/bin/false",))
    monkeypatch.setattr(audio, "PATIENCE_S", 60)
    assert "decoder exited with status 1" in refused(tone(tmp_path / "a.wav"), target)


def test_accepts_audio_of_a_video(tmp_path: Path, target: Path) -> None:
    """Its picture is not decoded."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=RATE)
        sound.layout = "mono"
        for _ in range(10):
            container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), "<i2"), "s16", "mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    assert decode(path, target).channels == 1
    assert wav.inspect(target).sample_rate == RATE
