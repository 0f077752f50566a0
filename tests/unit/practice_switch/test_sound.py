"""Playback and recording of the practice switch."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from demo.practice.party import dialogue
from demo.practice.sound import FRAME, SILENCE, Player, Tape, as_on_the_line, load
from recorder.errors import SwitchError


def frame(level: int) -> np.ndarray:
    return np.full(FRAME, level, dtype=np.int16)


def test_left_and_right_are_not_swapped(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "new" / "audio.wav", {}, buffered=False)
    tape.write(frame(1000), frame(-2000))
    tape.write(frame(1001), SILENCE)
    tape.close()
    with wave.open(str(tape.path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert samples[:FRAME].tolist() == [[1000, -2000]] * FRAME
    assert samples[FRAME:].tolist() == [[1001, 0]] * FRAME
    assert tape.samples == 2 * FRAME


@pytest.mark.parametrize(("buffered", "left"), [(False, 10 * FRAME * 4), (True, 0)])
def test_killed_switch_leaves_an_empty_header_and_the_samples(
    tmp_path: Path, buffered: bool, left: int
) -> None:
    tape = Tape(tmp_path / "audio.wav", {}, buffered=buffered)
    for _ in range(10):
        tape.write(frame(1), frame(2))
    tape.abandon()
    raw = tape.path.read_bytes()
    assert int.from_bytes(raw[4:8], "little") == 8
    assert raw[36:40] == b"data"
    assert int.from_bytes(raw[40:44], "little") == 0
    assert len(raw) == 44 + left


def test_a_buffer_holds_at_most_two_seconds(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "audio.wav", {}, buffered=True)
    for _ in range(150):  # three seconds
        tape.write(SILENCE, SILENCE)
    tape.abandon()
    assert (tape.length_on_disk() - 44) // 4 == 2 * 8000


def test_a_recording_whose_file_was_removed_is_closed_all_the_same(tmp_path: Path) -> None:
    """The daemon deletes a recording without an announcement while the switch has it open."""
    tape = Tape(tmp_path / "audio.wav", {}, buffered=False)
    tape.write(SILENCE, SILENCE)
    tape.path.unlink()
    tape.write(SILENCE, SILENCE)
    tape.close()
    assert (tape.length_on_disk(), tape.samples) == (0, 2 * FRAME)


def test_write_failure_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"audio|file"):
        Tape(tmp_path / "file" / "audio.wav", {}, buffered=False)


def test_sound_is_played_to_its_end_and_padded() -> None:
    player = Player(np.arange(FRAME + 10, dtype=np.int16))
    assert player.frame().tolist() == list(range(FRAME))
    assert not player.at_end
    assert player.frame().tolist() == [*range(FRAME, FRAME + 10), *[0] * (FRAME - 10)]
    assert player.at_end
    assert player.frame().tolist() == SILENCE.tolist()


def test_a_repeating_sound_never_ends() -> None:
    player = Player(np.arange(FRAME, dtype=np.int16), repeat=True)
    assert [player.frame()[0] for _ in range(3)] == [0, 0, 0]
    assert not player.at_end


def test_the_line_is_g711() -> None:
    x = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    once = as_on_the_line(x)
    assert np.array_equal(as_on_the_line(once), once)
    assert len(np.unique(once)) == 255  # 256 codes, two of them zero
    assert once[32768] == 0
    assert once.max() == 32124
    assert once.min() == -32124
    loud = np.abs(x.astype(np.int32)) > 256
    loud &= np.abs(x.astype(np.int32)) < 32124
    error = np.abs(once.astype(np.int32) - x.astype(np.int32))[loud] / np.abs(x.astype(np.int32))[loud]
    assert error.max() < 1 / 16


def test_invalid_sound_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF")
    for path_ in (path, tmp_path / "none.wav"):
        with pytest.raises(SwitchError, match="cannot be played"):
            load(path_)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_conversation_is_two_voices_of_the_same_length(language: str) -> None:
    caller, callee = (load(path) for path in dialogue(language))
    assert len(caller) == len(callee)
    assert 15 < len(caller) / 8000 < 40
    # They take turns: mostly only one is loud.
    size = len(caller) // 800 * 800
    loud = [np.abs(v[:size].astype(np.int32)).reshape(-1, 800).mean(axis=1) > 200 for v in (caller, callee)]
    assert loud[0].sum() > 20
    assert loud[1].sum() > 20
    assert (loud[0] & loud[1]).sum() < 0.2 * min(loud[0].sum(), loud[1].sum())
