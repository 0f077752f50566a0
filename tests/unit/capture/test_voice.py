"""Whether they were heard to answer is looked for off the hub, in a bounded time; else it is no voice."""

from __future__ import annotations

import os
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult

from recorder.audio import wav
from recorder.capture import voice_check as checking
from recorder.capture.voice_check import VoiceCheck
from tests.scenarios.files import SAYS_YES


def grows(path: Path, *pieces: bytes) -> None:
    """The left channel as it is given, the right one silent; the head says that there is nothing in it."""
    if not path.exists():
        path.write_bytes(wav.wav_header(8000, 0))
    with path.open("ab") as file:
        for piece in pieces:
            file.write(b"".join(piece[at : at + 2] + b"\0\0" for at in range(0, len(piece), 2)))


VOICE = SAYS_YES.read_bytes()[44:]
SILENCE = bytes(len(VOICE))


def heard(answer: VoiceCheck) -> tuple[int, int] | None:
    told: AsyncResult[tuple[int, int] | None] = AsyncResult()
    answer.look(last=False, told=told.set)
    return told.get(timeout=20)


def began(path: Path) -> VoiceCheck:
    answer = VoiceCheck(path)
    gevent.wait([answer._since], timeout=20)
    return answer


def test_they_were_heard_after_the_question(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    grows(path, SILENCE)
    answer = began(path)
    grows(path, SILENCE, VOICE)
    place = heard(answer)
    assert place is not None
    assert place[0] > len(SILENCE) * 2 / 16 - 200


def test_they_were_heard_before_its_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    grows(path, VOICE)
    answer = began(path)
    grows(path, SILENCE)
    assert heard(answer) is None


@pytest.mark.parametrize("when", ["as it begins", "as it is looked for"])
def test_a_recording_that_cannot_be_read_holds_nobody(when: str, tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    if when == "as it begins":
        answer = began(path)
        grows(path, SILENCE, VOICE)
    else:
        grows(path, SILENCE)
        answer = began(path)
        path.unlink()
    assert heard(answer) is None


def test_a_disk_that_does_not_answer_is_waited_for_no_longer_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to is such a file; the hub goes on."""
    path = tmp_path / "audio.wav"
    grows(path, SILENCE)
    answer = began(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(checking, "BOUND", 0.05)
    try:
        assert heard(answer) is None
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
