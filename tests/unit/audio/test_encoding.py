"""Encoding: the objects contain nothing of the caller from before the announcement's end, and all of the
rest."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recorder.audio import encoding
from recorder.audio.encoded_take import Encoded, EncodedSound, read_encoded, write_encoded
from recorder.audio.encoding import encode
from recorder.audio.timeline import SURE_MS
from recorder.errors import TakeError
from recorder.spool import layout
from recorder.spool.layout import Take, read_take
from tests.announcements import AnnouncementFile
from tests.expected_errors import expect_error

RATE = 8000
NOTHING_DBFS = -85.0
"""A tone below this level (dBFS) counts as absent: it is generated at -15 dBFS."""

QUIET = 8
"""Sample value up to which a lossy codec's output counts as silence beside an edge."""

EDGE = 200
"""The same where the other channel ends within a word, which crosses over for a few milliseconds."""


def object_named(encoded: Encoded, name: str) -> EncodedSound:
    return next(sound for sound in encoded.sounds if sound.name == name)


def decoded(path: Path) -> NDArray[np.int16]:
    """The sound of an object at 8 kHz, by ffmpeg's demuxer and decoder, as a browser would."""
    parts = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray().reshape(-1, 2) for out in resampler.resample(frame)]
        parts += [out.to_ndarray().reshape(-1, 2) for out in resampler.resample(None)]
    return np.concatenate(parts)


def everything(encoded: Encoded) -> dict[str, NDArray[np.int16]]:
    return {s.name: decoded(s.path) for s in encoded.sounds if s.name != "peaks"}


def outline(encoded: Encoded) -> dict[str, NDArray[np.int64]]:
    body = json.loads(object_named(encoded, "peaks").path.read_bytes())
    return {side: np.array(body[side]).reshape(-1, 2) for side in ("left", "right")}


def of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
def test_no_object_contains_the_caller_before_the_announcement_end(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile, law: str
) -> None:
    call = replace(lab.ordinary(announced), law=law)
    encoded = encode(call.make(tmp_path), announced.path)
    end_ms = lab.LEAD_MS + len(lab.sound_of(announced)) / 8
    assert encoded.announced is not None
    assert abs(encoded.announced.end_ms - end_ms) <= 1
    assert lab.power(call.left, lab.BEFORE) > -20
    sounds = everything(encoded)
    assert set(sounds) == {"audio.opus", "audio.wav"}
    for name, sound in sounds.items():
        talk = round((end_ms + lab.RING_MS) * 8)
        # to the last 20 ms, since the bridge is placed by the clock
        assert lab.power(sound[: talk - 160, 0], lab.BEFORE) < NOTHING_DBFS, name
        assert np.abs(sound[: talk - 160, 0].astype(int)).max() <= QUIET, name
        assert lab.power(sound[:, 0], lab.TALK) > -20, name  # speech after it is kept
        assert lab.power(sound[:talk, 1].astype(float) / 32768, 440) > NOTHING_DBFS, name
        assert abs(len(sound) - len(call.left)) <= 1, name
    edge = int((end_ms + lab.RING_MS) // 50)
    assert not outline(encoded)["left"][:edge].any()
    assert outline(encoded)["left"][edge + 2 :].any()
    assert outline(encoded)["right"][4:edge].any()


def leak(sound: NDArray[np.int16], own: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """The crosstalk of ``other`` in ``sound`` beside ``own``, in dB relative to its level (least squares)."""
    length = min(len(sound), len(own), len(other))
    basis = np.stack([own[:length], other[:length]], axis=1).astype(float)
    share = np.linalg.lstsq(basis, sound[:length].astype(float), rcond=None)[0]
    assert share[0] > 0.8
    return float(20 * np.log10(abs(share[1]) + 1e-9))


def test_channels_stay_separate_while_both_talk(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    call = lab.ordinary(english)
    start = round((lab.LEAD_MS + lab.RING_MS) * 8 + len(lab.sound_of(english)))
    one, other = lab.speech("en", "caller"), lab.speech("fr", "caller")
    length = min(len(call.left) - start, len(one), len(other))
    call.left[start : start + length] = one[:length]
    call.right[start : start + length] = other[:length]
    for name, sound in everything(encode(call.make(tmp_path), english.path)).items():
        talk = sound[start : start + length]
        assert leak(talk[:, 0], one[:length], other[:length]) < -30, name
        assert leak(talk[:, 1], other[:length], one[:length]) < -30, name


def test_kept_wav_equals_the_take_sample_by_sample(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    take = lab.ordinary(announced).make(tmp_path)
    original, _ = soundfile.read(take.audio, dtype="int16")
    encoded = encode(take, announced.path)
    samples, rate = soundfile.read(object_named(encoded, "audio.wav").path, dtype="int16")
    talk = encoded.gaps[-1].end_ms * 8
    assert rate == RATE
    np.testing.assert_array_equal(samples[:, 1], original[:, 1])
    np.testing.assert_array_equal(samples[talk:, 0], original[talk:, 0])
    assert not samples[:talk, 0].any()


def test_opus_resembles_the_take_without_an_offset(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    encoded = encode(lab.ordinary(announced).make(tmp_path), announced.path)
    sounds = everything(encoded)
    right, truth = sounds["audio.opus"][:, 1].astype(float), sounds["audio.wav"][:, 1].astype(float)
    length = min(len(right), len(truth))
    likeness = np.corrcoef(right[:length], truth[:length])[0, 1]
    assert likeness > 0.9
    assert object_named(encoded, "audio.opus").length < object_named(encoded, "audio.wav").length / 7
    assert object_named(encoded, "audio.opus").path.read_bytes()[:4] == b"OggS"
    assert abs(len(sounds["audio.opus"]) / 8 - encoded.duration_ms) < 1


def test_without_announcement_redacts_left_until_a_second_after_the_playback(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    call = lab.ordinary(announced)
    middle = lab.LEAD_MS * 8 + len(lab.sound_of(announced)) // 2
    call.right[middle : middle + 7200] = -1  # a hold removed 0.9 s of it
    finished = {kind: ms for ms, kind in call.markers}["announcement_finished"]
    call.markers = [(ms, kind) for ms, kind in call.markers if kind != "bridged"]
    call.markers.append((finished + 200, "bridged"))
    encoded = encode(call.make(tmp_path), announced.path)
    assert encoded.announced is None
    assert [(g.start_ms, g.end_ms, g.channel, g.reason) for g in encoded.gaps] == [
        (0, finished + 1000, "left", "before_announcement_end")
    ]
    for name, sound in everything(encoded).items():
        before = sound[: (finished + 980) * 8, 0]
        assert np.abs(before.astype(int)).max() <= (0 if name == "audio.wav" else EDGE)
        assert lab.power(before, lab.BEFORE) < -80
        assert lab.power(sound[(finished + 1000) * 8 :, 0], lab.BEFORE) > -20


@pytest.mark.parametrize(
    "markers", [["announcement_started"], [], ["announcement_finished", "announcement_started"]]
)
def test_without_finished_playback_redacts_all_of_left(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, markers: list[str]
) -> None:
    call = lab.ordinary(english)
    call.right[:] = lab.speech("en", "callee").repeat(2)[: len(call.right)]
    call.markers = [
        (0, "recording_started"),
        *((1000 * i, kind) for i, kind in enumerate(markers, 1)),
        (9000, "bridged"),
    ]
    encoded = encode(call.make(tmp_path), english.path)
    assert encoded.announced is None
    assert [(g.start_ms, g.end_ms, g.channel, g.reason) for g in encoded.gaps] == [
        (0, encoded.duration_ms, "left", "before_announcement_end")
    ]
    for sound in everything(encoded).values():
        assert np.abs(sound[:, 0].astype(int)).max() <= QUIET
    assert not outline(encoded)["left"].any()


def test_redacts_hold_in_both_channels(tmp_path: Path, lab: ModuleType, english: AnnouncementFile) -> None:
    call = lab.ordinary(english)
    call.markers += [(20_000, "hold"), (22_000, "unhold")]
    encoded = encode(call.make(tmp_path), english.path)
    hold = [gap for gap in encoded.gaps if gap.reason == "hold"]
    assert [gap.channel for gap in hold] == ["both"]
    assert abs(hold[0].start_ms - 19_700) < 50  # events may be early or late: nothing of the hold is kept
    assert abs(hold[0].end_ms - 22_300) < 50
    wav = everything(encoded)["audio.wav"]
    assert not wav[hold[0].start_ms * 8 : hold[0].end_ms * 8].any()
    assert wav[: hold[0].start_ms * 8].any()
    assert wav[hold[0].end_ms * 8 :].any()


@pytest.mark.parametrize("to_the_end", [False, True])
def test_inserts_silence_for_a_hold_that_was_not_written(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, to_the_end: bool
) -> None:
    """A telephone that sends nothing on hold: the recording still lasts as long as the call."""
    call = lab.ordinary(english)
    length = max(len(call.left), len(call.right)) // 8
    begin, hold_ms = length if to_the_end else 20_000, 2800
    call.markers += [(begin, "hold"), *([] if to_the_end else [(begin + hold_ms, "unhold")])]
    call.markers += [(length + hold_ms, "hangup")]
    take = call.make(tmp_path)
    encoded = encode(take, english.path)
    original, _ = soundfile.read(take.audio, dtype="int16")
    (hold,) = (gap for gap in encoded.gaps if gap.reason == "hold")
    silent = hold.end_ms - hold.start_ms
    assert abs(hold.start_ms - (begin - SURE_MS)) < 50
    assert abs(silent - hold_ms - SURE_MS * (1 if to_the_end else 2)) <= 20
    assert hold.channel == "both"
    assert abs(encoded.drift_ms) <= 20
    assert encoded.duration_ms + encoded.drift_ms == length + hold_ms
    sounds = everything(encoded)
    wav, start, end = sounds["audio.wav"], hold.start_ms * 8, hold.end_ms * 8
    assert abs(len(wav) - len(original) - hold_ms * 8) <= 20 * 8
    assert not wav[start:end].any()
    np.testing.assert_array_equal(wav[start - RATE : start], original[start - RATE : start])
    np.testing.assert_array_equal(wav[end:], original[len(original) - (len(wav) - end) :])
    assert abs(len(sounds["audio.opus"]) - len(wav)) <= 960
    assert not outline(encoded)["left"][len(outline(encoded)["left"]) * start // len(wav) + 1].any()


def test_inserts_nothing_if_a_clock_is_set_ahead_in_a_hold(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    call = lab.ordinary(english)
    length, years = -(-max(len(call.left), len(call.right)) // 8), 10 * 365 * 86_400_000
    call.markers += [(20_000, "hold"), (years + 22_000, "unhold"), (years + length, "hangup")]
    encoded = encode(call.make(tmp_path), english.path)
    assert encoded.duration_ms == length
    assert encoded.drift_ms == years


def test_encoding_is_deterministic(tmp_path: Path, lab: ModuleType, announced: AnnouncementFile) -> None:
    take = lab.ordinary(announced).make(tmp_path)
    first = encode(take, announced.path)
    before = of(take.folder)
    (take.folder / ".audio.opus.tmp").write_bytes(b"left by a crash")
    (take.folder / "peaks").write_bytes(b"half")
    assert encode(take, announced.path) == first
    assert of(take.folder) == before
    shutil.copytree(take.folder, tmp_path / "elsewhere" / take.folder.name)
    again = encode(read_take(tmp_path / "elsewhere" / take.folder.name), announced.path)
    assert [s.sha256 for s in again.sounds] == [s.sha256 for s in first.sounds]


def test_full_disk_leaves_no_partial_object(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = lab.ordinary(english).make(tmp_path)
    before = of(take.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoding.Peaks, "add", full)
    with pytest.raises(OSError, match="No space"):
        encode(take, english.path)
    assert of(take.folder) == before


@pytest.mark.parametrize("formats", [("opus",), ("wav",)])
def test_encodes_only_the_formats_of_the_line(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, formats: tuple[str, ...]
) -> None:
    take = replace(lab.ordinary(english), formats=formats).make(tmp_path)
    encoded = encode(take, english.path)
    assert [sound.name for sound in encoded.sounds] == [f"audio.{formats[0]}", "peaks"]
    assert (take.folder / "audio.opus").exists() == ("opus" in formats)
    assert (take.folder / "kept.wav").exists() == ("wav" in formats)


def kill_header(take: Take, lost_bytes: int = 0) -> None:
    """A killed switch leaves RIFF size 8, data size 0, and the last bytes unwritten (observed)."""
    content = bytearray(take.audio.read_bytes())
    struct.pack_into("<I", content, 4, 8)
    struct.pack_into("<I", content, 40, 0)
    take.audio.write_bytes(content[: len(content) - lost_bytes])


def test_encodes_take_of_a_killed_switch(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    take = lab.ordinary(announced).make(tmp_path)
    whole = encode(take, announced.path)
    kill_header(take, lost_bytes=1500 * 32)
    cut = encode(take, announced.path)
    assert cut.duration_ms == whole.duration_ms - 1500
    assert cut.announced == whole.announced
    gap = cut.gaps[-1]
    assert (gap.start_ms, gap.channel, gap.reason) == (cut.duration_ms, "both", "repair")
    assert abs(gap.end_ms - gap.start_ms - 1500) < 50
    assert abs(cut.drift_ms - 1500) < 50
    samples, _ = soundfile.read(object_named(cut, "audio.wav").path)
    assert len(samples) == (take.audio.stat().st_size - 44) // 4
    assert encode(take, announced.path) == cut  # the take is unchanged, so the result is the same


def test_early_end_of_file_is_a_gap(tmp_path: Path, lab: ModuleType, english: AnnouncementFile) -> None:
    take = lab.ordinary(english).make(tmp_path)
    sound, rate = soundfile.read(take.audio, dtype="int16")
    soundfile.write(take.audio, sound[: -8 * 5000], rate, subtype="PCM_16")
    encoded = encode(take, english.path)
    assert encoded.gaps[-1].reason == "write_error"
    assert encoded.gaps[-1].start_ms == encoded.duration_ms
    assert abs(encoded.drift_ms - 5000) < 50


def test_slight_shrinkage_is_drift_and_no_gap(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    take = lab.ordinary(english).make(tmp_path)
    sound, rate = soundfile.read(take.audio, dtype="int16")
    soundfile.write(take.audio, sound[: -8 * 350], rate, subtype="PCM_16")
    encoded = encode(take, english.path)
    assert {gap.reason for gap in encoded.gaps} == {"before_announcement_end", "ringing"}
    assert abs(encoded.drift_ms - 350) < 50


def test_keeps_audio_longer_than_its_call(tmp_path: Path, lab: ModuleType, english: AnnouncementFile) -> None:
    """A clock was set back in the call: the difference is drift."""
    take = lab.ordinary(english).make(tmp_path)
    sound, rate = soundfile.read(take.audio, dtype="int16")
    soundfile.write(take.audio, np.concatenate([sound, sound[-8 * 6000 :]]), rate, subtype="PCM_16")
    encoded = encode(take, english.path)
    assert encoded.announced is not None
    assert {gap.reason for gap in encoded.gaps} == {"before_announcement_end", "ringing"}
    assert abs(encoded.drift_ms + 6000) < 50
    assert np.abs(decoded(object_named(encoded, "audio.wav").path)[-8 * 6000 :]).max() > 1000


@pytest.mark.parametrize("content", [b"", b"RIFF\x08\0\0\0WAVE", bytes(5000)])
def test_refuses_broken_take_and_writes_nothing(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, content: bytes
) -> None:
    take = lab.ordinary(english).make(tmp_path)
    take.audio.write_bytes(content)
    before = of(take.folder)
    with expect_error(TakeError, "take.impossible"):
        encode(take, english.path)
    assert of(take.folder) == before


def test_refuses_another_sound_than_the_announced_one(
    tmp_path: Path, lab: ModuleType, announced: AnnouncementFile
) -> None:
    take = lab.ordinary(announced).make(tmp_path)
    other = tmp_path / "other.wav"
    soundfile.write(other, lab.speech("en", "callee"), RATE, subtype="PCM_16")
    for path in (other, tmp_path / "none.wav"):
        with expect_error(TakeError, "take.prompt"):
            encode(take, path)


def test_memory_is_bounded_for_a_long_call(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    """Twenty minutes, 38 MB: more than the memory that encoding may take."""
    import tracemalloc

    call = replace(lab.ordinary(english), formats=("wav",))
    talk = lab.speech("en", "caller")
    call.left = np.concatenate([call.left, np.tile(talk, 48)])
    call.right = np.concatenate([call.right, np.tile(talk, 48)])
    take = call.make(tmp_path)
    tracemalloc.start()
    encoded = encode(take, english.path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert encoded.duration_ms > 20 * 60_000
    assert peak < 24_000_000
    body = json.loads(object_named(encoded, "peaks").path.read_bytes())
    assert len(body["left"]) <= 24_000


def test_runs_in_a_process_and_returns_its_errors(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    take = lab.ordinary(english).make(tmp_path)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        encoded = pool.submit(encode, take, english.path).result(60)
        assert pickle.loads(pickle.dumps(encoded)) == encoded
        take.audio.unlink()
        with pytest.raises(TakeError, match="left no sound") as failure:
            pool.submit(encode, take, english.path).result(60)
    assert failure.value.error_id == "take.impossible"
    assert failure.value.hint


def test_encoded_json_round_trip(tmp_path: Path, lab: ModuleType, announced: AnnouncementFile) -> None:
    encoded = encode(lab.ordinary(announced).make(tmp_path), announced.path)
    path = write_encoded(encoded)
    assert path.name == "encoded.json"
    assert read_encoded(encoded.take.folder) == encoded
    unfound = replace(encoded, announced=None, gaps=())
    write_encoded(unfound)
    assert read_encoded(encoded.take.folder) == unfound


@pytest.mark.parametrize("harm", ["missing", "json", "format", "file", "length"])
def test_reports_unusable_encoded_json(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, harm: str
) -> None:
    encoded = encode(lab.ordinary(english).make(tmp_path), english.path)
    path = write_encoded(encoded)
    opus = object_named(encoded, "audio.opus").path
    match harm:
        case "missing":
            path.unlink()
        case "json":
            path.write_bytes(path.read_bytes()[:-20])
        case "format":
            path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
        case "file":
            opus.unlink()
        case "length":
            opus.write_bytes(opus.read_bytes()[:-1])
    with expect_error(TakeError, "take.encoded"):
        read_encoded(encoded.take.folder)


def test_leaves_the_files_of_the_take_unchanged(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile
) -> None:
    take = lab.ordinary(english).make(tmp_path)
    kill_header(take)
    own = {name: of(take.folder)[name] for name in (layout.CALL, layout.EVENTS, layout.END, layout.AUDIO)}
    encode(take, english.path)
    assert {name: of(take.folder)[name] for name in own} == own
