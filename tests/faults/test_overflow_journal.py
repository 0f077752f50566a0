"""Calls that are not recorded because the disk is full to the last block are still listed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import gevent
import pytest
from structlog.testing import capture_logs

from recorder import metrics
from recorder.capture import overflow_journal as module
from recorder.capture import spool_writer as writers
from recorder.capture.overflow_journal import JOURNAL, OverflowJournal
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.ids import uuid7
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart
from tests.faults.disks import MIB, SmallDisk
from tests.waiting import until

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
END = CallEnd("not_recorded", "full_disk", AT, None)


def start() -> CallStart:
    return CallStart(str(uuid7(AT)), "t", "l", "3225550100", "inbound", "n", "c", Party("e164", "+32470"), AT, ("opus",), None)  # fmt: skip # noqa: E501


def finished(root: Path) -> dict[str, CallEnd]:
    return {folder.name: layout.read_take(folder).end for folder in layout.finished_takes(root)}


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, small_disk: Callable[..., SmallDisk]) -> SmallDisk:
    return small_disk("spool", request.param, 16 * MIB)


def test_lists_a_call_after_a_full_disk(disk: SmallDisk) -> None:
    notes = OverflowJournal(disk.folder)
    notes.start()
    disk.fill()
    calls = [start() for _ in range(50)]
    opened: list[OSError | None] = []
    writers_ = []
    for call in calls:
        writer = SpoolWriter(disk.folder, call.recording, opened.append, notes.keep)
        writers_.append(writer)
        writer.open(call)
        writer.mark(Marker(AT, "hangup"))
        writer.close(END, lambda: None)
    assert all(writer.flush(5) for writer in writers_), "no call's end waits for space"
    assert all(isinstance(error, OSError) for error in opened)
    assert finished(disk.folder) == {}
    # The daemon crashes, and the next one finds the disk still full.
    again = OverflowJournal(disk.folder)
    with capture_logs() as logs:
        again.start()
    assert [line["event"] for line in logs] == ["journal.pending"]
    assert "make room" in logs[0]["hint"]
    disk.free()
    again._replay()
    assert finished(disk.folder) == {call.recording: END for call in calls}
    assert layout.read_start(disk.folder / calls[0].recording) == calls[0]
    assert not again.pending
    third = OverflowJournal(disk.folder)
    third.start()
    assert not third.pending, "a written entry leaves the memory"


def test_full_journal_keeps_entries_in_memory(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "RETRY", 0.02)
    monkeypatch.setattr(module, "SIZE", 700)
    notes = OverflowJournal(disk.folder)
    notes.start()
    disk.fill()
    calls = [start() for _ in range(3)]
    all_writers = []
    for call in calls:
        writer = SpoolWriter(disk.folder, call.recording, lambda error: None, notes.keep)
        all_writers.append(writer)
        writer.open(call)
        writer.close(END, lambda: None)
    gevent.sleep(0.3)
    assert sum(writer.ended for writer in all_writers) == 1, "there was space for one"
    disk.free()
    assert all(writer.flush(5) for writer in all_writers)
    notes._replay()
    assert finished(disk.folder) == {call.recording: END for call in calls}


def test_marks_wait_for_space_in_order(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills during a recorded call, of which a part must not be kept and is deleted."""
    monkeypatch.setattr(writers, "RETRY", 0.02)
    call = start()
    writer = SpoolWriter(disk.folder, call.recording, lambda error: None)
    writer.open(call)
    for number in range(3):
        writer.mark(Marker(AT, "hold", {"seconds": str(number), "reason": "x" * 2000}))
    assert writer.flush(5)
    disk.fill()
    for number in range(3, 40):
        writer.mark(Marker(AT, "hold", {"seconds": str(number), "reason": "x" * 2000}))
    writer.close(CallEnd("recorded", None, AT, None), lambda: None)
    gevent.sleep(0.3)
    assert not writer.ended
    readable = layout.read_markers(writer.folder)  # at no moment a partial line
    assert [marker.data["seconds"] for marker in readable] == [str(number) for number in range(len(readable))]
    disk.free()
    assert writer.flush(5)
    take = layout.read_take(writer.folder)
    assert [marker.data["seconds"] for marker in take.markers] == [str(number) for number in range(40)]
    assert take.end.outcome == "recorded"


def test_deletes_at_once_on_a_full_disk(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "RETRY", 60.0)
    call = start()
    writer = SpoolWriter(disk.folder, call.recording, lambda error: None)
    writer.open(call)
    assert writer.flush(5)
    writer.audio.write_bytes(b"untold" * 1000)
    disk.fill()
    for number in range(4):
        writer.mark(Marker(AT, "hold", {"seconds": str(number), "reason": "x" * 8000}))
    gevent.sleep(0.2)
    assert writer._failures
    writer.discard()
    start_time = time.monotonic()
    while writer.audio.exists():
        assert time.monotonic() - start_time < 20, "it does not wait for earlier markers"
        gevent.sleep(0.01)


def test_entry_cut_by_a_crash_does_not_corrupt_others(tmp_path: Path) -> None:
    notes = OverflowJournal(tmp_path)
    notes.start()
    calls = [start() for _ in range(3)]
    assert all(notes.keep(call, END) for call in calls[:2])
    with open(tmp_path / JOURNAL, "rb+") as file:
        file.seek(notes._length)
        file.write(b'{"call": {"announcement": "half of a note ' + b"x" * 900)
    after = OverflowJournal(tmp_path)
    after._prepare()
    assert after.keep(calls[2], END)
    after._replay()
    assert set(finished(tmp_path)) == {call.recording for call in calls}


def test_replay_after_a_crash_is_idempotent(tmp_path: Path) -> None:
    notes = OverflowJournal(tmp_path)
    notes.start()
    call = start()
    notes.keep(call, END)
    content = (tmp_path / JOURNAL).read_bytes()
    notes._replay()
    other = CallEnd("not_recorded", "daemon_away", AT, None)
    (tmp_path / JOURNAL).write_bytes(content)  # as if it had crashed before it noted the success
    notes = OverflowJournal(tmp_path)
    notes.keep(call, other)
    notes.start()
    assert finished(tmp_path) == {call.recording: END}


def test_killed_start_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk so slow that the supervisor kills the daemon during its replay, the daemon still starts
    eventually."""
    notes = OverflowJournal(tmp_path)
    notes.start()
    calls = [start() for _ in range(5)]
    assert all(notes.keep(call, END) for call in calls)
    opened: list[str] = []

    def killed(root: Path, call: CallStart) -> Path:
        opened.append(call.recording)
        if len(opened) == 3:
            raise KeyboardInterrupt  # like SIGKILL: none of our code runs after it
        return open_take(root, call)

    open_take = layout.open_take
    monkeypatch.setattr(layout, "open_take", killed)
    with pytest.raises(KeyboardInterrupt):
        OverflowJournal(tmp_path).start()
    OverflowJournal(tmp_path).start()
    assert opened == [*(call.recording for call in calls[:3]), *(call.recording for call in calls[2:])]
    assert set(finished(tmp_path)) == {call.recording for call in calls}


def test_failed_entry_delays_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any error the daemon starts, and continues its replay."""
    monkeypatch.setattr(module, "CHECK_INTERVAL", 0.01)
    notes = OverflowJournal(tmp_path)
    notes.start()
    calls = [start() for _ in range(3)]
    assert all(notes.keep(call, END) for call in calls)
    fails = [True]

    def fail(root: Path, call: CallStart) -> Path:
        if fails and call == calls[1]:
            raise ArithmeticError("nobody thought of this")
        return open_take(root, call)

    open_take = layout.open_take
    monkeypatch.setattr(layout, "open_take", fail)
    counted = mistakes()
    again = OverflowJournal(tmp_path)
    with capture_logs() as logs:
        again.start()
    assert [line["event"] for line in logs] == ["journal.replay_failed", "journal.replayed"]
    assert logs[0]["recording"] == calls[1].recording
    assert mistakes() == counted + 1
    assert set(finished(tmp_path)) == {calls[0].recording, calls[2].recording}
    assert again.pending
    greenlet = gevent.spawn(again.run)
    fails.clear()
    until("the journal is empty", lambda: not again.pending, 10)
    assert set(finished(tmp_path)) == {call.recording for call in calls}
    later = start()
    with monkeypatch.context() as patch:
        patch.setattr(again, "_replay", lambda: 1 / 0)
        assert again.keep(later, END)
        mistakes_before = mistakes()
        until("a mistake is counted", lambda: mistakes() > mistakes_before, 10)
    until("the journal is empty", lambda: not again.pending, 10)
    greenlet.kill()
    assert later.recording in finished(tmp_path)


def mistakes() -> float:
    return next(sample.value for metric in metrics.UNHANDLED_ERRORS.collect() for sample in metric.samples)
