from __future__ import annotations

import errno
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import prompt_files
from recorder.errors import EncoderError, TakeError
from recorder.pipeline import stages
from recorder.pipeline.encoders import Encoder
from tests.expected_errors import expect_error

SOURCE = str(Path(recorder.__file__).parents[1])


@pytest.fixture
def encoder():
    own_encoder = Encoder(nice=1)
    yield own_encoder
    own_encoder.stop()


@pytest.fixture
def prompt(house):
    return prompt_files.put_prompt(house.services.snapshot, house.announcement.sha256, house.clock())


def test_encodes_takes_in_one_process_of_low_priority(house, encoder, prompt) -> None:
    folders = [house.take(), house.take(announced=False)]
    for folder in folders:
        encoder.encode(folder, prompt)
        assert stages.next_stage(folder) == "seal"
    assert os.getpriority(os.PRIO_PROCESS, encoder.process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 1


def test_prints_nothing_of_its_own(house, encoder, prompt, capfd) -> None:
    """Its errors go to the worker's log, where a warning would appear at every start."""
    encoder.encode(house.take(), prompt)
    encoder.stop()
    assert capfd.readouterr().err == ""


def test_yields_to_other_sessions(house, encoder, prompt) -> None:
    encoder.encode(house.take(), prompt)
    pid = encoder.process.pid
    assert os.getsid(pid) == pid
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        assert group.read_text().split()[-2:] == ["nice", str(encoder.nice)]


def test_raises_the_error_of_the_process(house, encoder, prompt) -> None:
    folder = house.take()
    (folder / "audio.wav").write_bytes(b"RIFF")
    with expect_error(TakeError, "take.impossible") as failure:
        encoder.encode(folder, prompt)
    assert failure.value.message
    encoder.encode(house.take(), prompt)


def test_disk_error_is_no_error_of_the_take(house, encoder, prompt) -> None:
    folder = house.take()
    (folder / "audio.opus").mkdir()
    (folder / "audio.opus" / "in-the-way").touch()
    with pytest.raises(OSError, match="irectory"):
        encoder.encode(folder, prompt)


@pytest.mark.long
def test_restarts_a_crashed_encoder(house, encoder, prompt) -> None:
    long = house.take(talk_ms=600_000)
    encoder.encode(house.take(), prompt)
    first = encoder.process.pid
    threading.Timer(0.2, os.kill, (first, signal.SIGKILL)).start()
    with expect_error(TakeError, "take.encoder_died"):
        encoder.encode(long, prompt)
    encoder.encode(house.take(), prompt)
    assert encoder.process.pid != first


FAULTS = {
    "it cannot be imported": "raise ImportError('libavcodec.so.61: cannot open shared object file')",
    "it is killed at every start": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "it says nothing": "import time; time.sleep(600)",
}


@pytest.mark.long
@pytest.mark.parametrize("how", FAULTS)
def test_failed_start_concerns_no_take(house, encoder, prompt, tmp_path, monkeypatch, how) -> None:
    (tmp_path / "av.py").write_text(FAULTS[how])
    if how == "it says nothing":
        monkeypatch.setattr("recorder.pipeline.encoders.STARTUP_SECONDS", 0.5)
    folder = house.take()
    with monkeypatch.context() as without_source:
        without_source.setenv("PYTHONPATH", f"{tmp_path}:{SOURCE}")
        with pytest.raises(EncoderError) as failure:
            encoder.encode(folder, prompt)
    assert failure.value.error_id == "encoder.not_started"
    assert failure.value.hint
    monkeypatch.undo()
    encoder.encode(folder, prompt)


def test_missing_program_concerns_no_take(house, encoder, prompt, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(EncoderError):
        encoder.encode(house.take(), prompt)


def test_output_of_a_library_is_no_answer(house, encoder, prompt, tmp_path, monkeypatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('a library says hello')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{SOURCE}")
    encoder.encode(house.take(), prompt)


def test_kills_a_hung_encoder(house, encoder, prompt, monkeypatch) -> None:
    encoder.encode(house.take(), prompt)
    monkeypatch.setattr("recorder.pipeline.encoders._limit", lambda _: 0.3)
    os.kill(encoder.process.pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(TakeError, match="longer") as failure:
        encoder.encode(house.take(), prompt)
    assert failure.value.error_id == "take.encoder_died"
    assert time.monotonic() - start < 30


def test_ignores_the_drain_signal_of_its_parent(house, encoder, prompt) -> None:
    encoder.encode(house.take(), prompt)
    os.kill(encoder.process.pid, signal.SIGTERM)
    encoder.encode(house.take(), prompt)


def test_read_failure_is_no_error_of_the_take(house, encoder, prompt) -> None:
    """Otherwise a disk that was missing for a moment would put the take into quarantine, and delete it."""
    folder = house.take()
    (folder / "call.json").rename(folder / "elsewhere")
    (folder / "call.json").mkdir()
    with pytest.raises(IsADirectoryError) as failure:
        encoder.encode(folder, prompt)
    assert failure.value.errno == errno.EISDIR
    (folder / "call.json").rmdir()
    (folder / "elsewhere").rename(folder / "call.json")
    encoder.encode(folder, prompt)
