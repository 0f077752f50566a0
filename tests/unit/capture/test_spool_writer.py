"""A call's disk work is done in order, and its end is retried until it is written."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Semaphore

import gevent
import pytest

from recorder.capture import spool_writer as module
from recorder.capture.spool_writer import SpoolWriter
from recorder.clock import Now
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.spool import layout
from recorder.spool.layout import AudioLength, CallEnd, CallStart

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
END = CallEnd("not_recorded", "no_line", AT, None)
ID = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"


def start() -> CallStart:
    return CallStart(ID, None, None, "112", "inbound", "n", "c", Party("withheld", ""), AT, (), None)


@pytest.fixture
def opened() -> list[OSError | None]:
    return []


@pytest.fixture
def writer(tmp_path: Path, opened: list[OSError | None], monkeypatch: pytest.MonkeyPatch) -> SpoolWriter:
    monkeypatch.setattr(module, "RETRY", 0.01)
    return SpoolWriter(tmp_path, ID, opened.append)


def test_writes_in_order(writer: SpoolWriter, opened: list[OSError | None]) -> None:
    outcomes: list[bool] = []
    writer.open(start())
    for number in range(20):
        writer.mark(Marker(AT, "hold", {"seconds": str(number)}))
    writer.close(END, lambda: outcomes.append(True))
    assert writer.flush(5)
    take = layout.read_take(writer.folder)
    assert [marker.data["seconds"] for marker in take.markers] == [str(number) for number in range(20)]
    assert (opened, outcomes, take.end) == ([None], [True], END)


def test_mark_comes_with_the_length_of_the_audio(
    tmp_path: Path, opened: list[OSError | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the moment of the event, even if the disk is busy with an earlier marker."""
    append, measure, audio = layout.append_marker, layout.measure_audio, tmp_path / ID / layout.AUDIO
    measured = Semaphore(0)

    def count(folder: Path, now: Now) -> AudioLength | None:
        length = measure(folder, now)
        measured.release()
        return length

    def grow(folder: Path, marker: Marker, length: AudioLength | None = None) -> None:
        append(folder, marker, length)
        if marker.kind == "hold":
            assert all(measured.acquire(timeout=5) for _ in range(3)), "so far and the next one"
        with open(audio, "ab") as file:
            file.write(b"12345")

    monkeypatch.setattr(layout, "append_marker", grow)
    monkeypatch.setattr(layout, "measure_audio", count)
    writer = SpoolWriter(tmp_path, ID, opened.append, now=lambda: AT)
    writer.open(start())
    writer.mark(Marker(AT, "recording_started"))
    assert writer.flush(5)
    for kind in ("hold", "unhold"):
        writer.mark(Marker(AT, kind))
    writer.close(END, lambda: None)
    assert writer.flush(5)
    take = layout.read_take(writer.folder)
    assert [marker.kind for marker in take.markers] == ["recording_started", "hold", "unhold"]
    assert take.lengths == (AudioLength(AT, 5), AudioLength(AT, 5)), "none before there is a file"


def test_reports_a_folder_that_cannot_be_created(writer: SpoolWriter, opened: list[OSError | None]) -> None:
    writer.folder.write_bytes(b"in the way")
    writer.open(start())
    writer.mark(Marker(AT, "hold"))
    assert writer.flush(5)
    assert isinstance(opened[0], OSError)


def test_retries_the_end_until_it_is_written(writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    write = layout.close_take

    def fail(folder: Path, end: CallEnd) -> None:
        tries.append(1)
        if len(tries) < 4:
            raise OSError(28, "No space left on device")
        write(folder, end)

    monkeypatch.setattr(layout, "close_take", fail)
    outcomes: list[bool] = []
    writer.open(start())
    writer.close(END, lambda: outcomes.append(True))
    assert writer.flush(5)
    assert len(tries) == 4
    assert outcomes == [True]
    assert layout.read_end(writer.folder) == END


def test_lost_mark_blocks_nothing(writer: SpoolWriter) -> None:
    writer.open(start())
    writer.mark(Marker(AT, "no such kind"))
    writer.mark(Marker(AT, "hold"))
    writer.close(END, lambda: None)
    assert writer.flush(5)
    assert [marker.kind for marker in layout.read_take(writer.folder).markers] == ["hold"]


def test_destroys_audio_before_writing_the_end(writer: SpoolWriter) -> None:
    writer.open(start())
    assert writer.flush(5)
    writer.audio.write_bytes(b"unannounced")
    exists: list[bool] = []
    writer.discard()
    writer.close(END, lambda: exists.append(writer.audio.exists()))
    assert writer.flush(5)
    assert exists == [False]


def test_slow_disk_does_not_block_the_hub(writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "open_take", lambda root, call: time.sleep(0.5))
    writer.open(start())
    beats = 0
    start_time = time.monotonic()
    while writer._jobs and time.monotonic() - start_time < 3:
        gevent.sleep(0.01)
        beats += 1
    assert beats > 20


def test_call_does_not_wait_for_a_hanging_disk(writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER_LIMIT", 0.1)
    monkeypatch.setattr(writer, "_make", lambda: time.sleep(1))
    start = time.monotonic()
    with pytest.raises(OSError, match="does not answer"):
        writer.prepare()
    assert time.monotonic() - start < 0.8
