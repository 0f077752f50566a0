"""The search for a spoken answer, in a thread and within a time limit."""

from __future__ import annotations

import os
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult

from recorder.audio import wav
from recorder.capture import voice_check as voice_check_module
from recorder.capture.thread_pool import THREADS, in_thread
from recorder.capture.voice_check import VoiceCheck
from tests.scenarios.files import SAYS_YES


def grow(path: Path, *pieces: bytes) -> None:
    """Append audio to the left channel, with a silent right one; the header gives no length."""
    if not path.exists():
        path.write_bytes(wav.wav_header(8000, 0))
    with path.open("ab") as file:
        for piece in pieces:
            file.write(b"".join(piece[at : at + 2] + b"\0\0" for at in range(0, len(piece), 2)))


VOICE = SAYS_YES.read_bytes()[44:]
SILENCE = bytes(len(VOICE))


def search(check: VoiceCheck) -> tuple[int, int] | None:
    found: AsyncResult[tuple[int, int] | None] = AsyncResult()
    check.search(last=False, report=found.set)
    return found.get(timeout=20)


def begin(path: Path) -> VoiceCheck:
    check = VoiceCheck(path)
    gevent.wait([check._since], timeout=20)
    return check


def test_finds_a_voice_after_the_question(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    grow(path, SILENCE)
    check = begin(path)
    grow(path, SILENCE, VOICE)
    voice = search(check)
    assert voice is not None
    assert voice[0] > len(SILENCE) * 2 / 16 - 200


def test_ignores_a_voice_before_the_end_of_the_question(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    grow(path, VOICE)
    check = begin(path)
    grow(path, SILENCE)
    assert search(check) is None


@pytest.mark.parametrize("when", ["at the start", "at the search"])
def test_unreadable_recording_has_no_voice(when: str, tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    if when == "at the start":
        check = begin(path)
        grow(path, SILENCE, VOICE)
    else:
        grow(path, SILENCE)
        check = begin(path)
        path.unlink()
    assert search(check) is None


def test_hanging_disk_delays_no_longer_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated by a pipe without a writer; the hub keeps running."""
    path = tmp_path / "audio.wav"
    grow(path, SILENCE)
    check = begin(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(voice_check_module, "TIME_LIMIT", 0.05)
    try:
        assert search(check) is None
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def test_searches_do_not_delay_disk_work(tmp_path: Path) -> None:
    """More searches hang (on pipes without a writer) than the disk's pool has threads."""
    pipes = [tmp_path / f"{number}.wav" for number in range(THREADS + 1)]
    results: list[object] = []
    try:
        for path in pipes:
            grow(path, SILENCE)
            check = begin(path)
            path.unlink()
            os.mkfifo(path)
            check.search(last=False, report=results.append)
        gevent.sleep(0)
        with gevent.Timeout(20):
            in_thread((tmp_path / "folder of the next call").mkdir)
        assert not results
    finally:
        for path in pipes:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
