"""The scheduler: the order of takes, and the cost of scanning the spool."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.audio.encoded_take import ENCODED
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.ids import uuid7
from recorder.pipeline import stages
from recorder.pipeline.scheduler import Backlog
from recorder.spool import disk_space, layout
from recorder.spool.layout import CallEnd, CallStart
from tests.clock import Clock, MonotonicClock

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.fixture
def seconds() -> MonotonicClock:
    return MonotonicClock()


@pytest.fixture
def backlog(tmp_path: Path, seconds: MonotonicClock) -> Backlog:
    return Backlog(tmp_path, seconds)


def call(root: Path, tenant: str | None, minute: int, *, ended: bool = True) -> Path:
    """A recorded call without its audio."""
    at = AT + timedelta(minutes=minute)
    start = CallStart(
        str(uuid7(at)), tenant, "l", "32", "inbound", "n", "c", Party("sip", "x"), at, ("opus",), None
    )
    folder = layout.open_take(root, start)
    layout.append_marker(folder, Marker(at, "bridged"))
    if ended:
        layout.close_take(folder, CallEnd("recorded", None, at, None))
    return folder


def sounds(folders: list[Path], *sizes: int) -> None:
    for folder, size in zip(folders, sizes, strict=True):
        with open(folder / layout.AUDIO, "wb") as file:
            file.truncate(size)


def test_encodes_the_smallest_take_if_space_is_short(tmp_path: Path, backlog: Backlog) -> None:
    large, small, middle = folders = [call(tmp_path, "t", minute) for minute in range(3)]
    sounds(folders, 6_000_000, 60_000, 600_000)
    backlog.scan_spool()
    free = disk_space.bytes_to_finish(600_000, ("opus",)) + 1000
    assert backlog.next_take("encode", free=free) == (small, "encode")
    assert backlog.next_take("encode", free=free) is None, "its space is reserved"
    (small / ENCODED).write_bytes(b"{}")
    backlog.finish_step(small)
    assert backlog.next_take("rest", free=free) == (small, "seal")
    assert backlog.next_take("encode", free=free) is None, "reserved until it is sealed"
    layout.remove_take(layout.RemovableTake(small))
    backlog.finish_step(small)
    assert backlog.next_take("encode", free=free) == (middle, "encode")
    layout.remove_take(layout.RemovableTake(middle))
    backlog.finish_step(middle)
    assert backlog.next_take("encode", free=free) == (large, "encode"), (
        "no other take frees space: it is tried"
    )
    backlog.fail_step(large, lambda _: 1.0)
    assert backlog.next_take("encode", free=free) is None


def test_encodes_the_oldest_take_if_there_is_space(tmp_path: Path, backlog: Backlog) -> None:
    folders = [call(tmp_path, "t", minute) for minute in range(3)]
    sounds(folders, 6_000_000, 60_000, 600_000)
    backlog.scan_spool()
    for folder in folders:
        assert backlog.next_take("encode", free=10_000_000) == (folder, "encode")


def take_names(backlog: Backlog, lane: str = "encode", count: int = 100) -> list[str]:
    found = []
    while len(found) < count and (item := backlog.next_take(lane)) is not None:
        found.append(item[0].name)
    return found


def test_tenants_take_turns(tmp_path: Path, backlog: Backlog) -> None:
    crowd = [call(tmp_path, "crowd", minute).name for minute in range(8)]
    small = [call(tmp_path, "small", minute).name for minute in (20, 21)]
    nobody = call(tmp_path, None, 30).name
    backlog.scan_spool()
    assert take_names(backlog) == [crowd[0], small[0], nobody, crowd[1], small[1], *crowd[2:]]


def test_new_tenant_has_the_next_turn(tmp_path: Path, backlog: Backlog, seconds: MonotonicClock) -> None:
    crowd = [call(tmp_path, "crowd", minute).name for minute in range(5)]
    backlog.scan_spool()
    assert take_names(backlog, count=2) == crowd[:2]
    late = call(tmp_path, "late", 60).name
    seconds.at += 60
    backlog.scan_spool()
    assert late in take_names(backlog, count=2)


def test_blocked_stage_delays_no_other(tmp_path: Path, backlog: Backlog) -> None:
    stored, sealed = call(tmp_path, "a", 1), call(tmp_path, "a", 2)
    (stored / stages.MANIFEST).write_text("{}")
    (sealed / stages.ENCODED).write_text("{}")
    backlog.scan_spool()
    assert backlog.next_take("rest", {"store"}) == (sealed, "seal")
    assert backlog.next_take("rest", {"store"}) is None
    assert backlog.next_take("rest") == (stored, "store")


def test_take_is_in_progress_once(tmp_path: Path, backlog: Backlog, seconds: MonotonicClock) -> None:
    folder = call(tmp_path, "a", 1)
    backlog.scan_spool()
    assert backlog.next_take("encode") == (folder, "encode")
    seconds.at += 60
    backlog.scan_spool()
    assert backlog.next_take("encode") is None
    (folder / stages.ENCODED).write_text("{}")
    backlog.finish_step(folder)
    assert backlog.next_take("rest") == (folder, "seal")
    layout.remove_take(layout.RemovableTake(folder))
    backlog.finish_step(folder)
    assert len(backlog) == 0


def test_failed_take_waits_while_others_continue(
    tmp_path: Path, backlog: Backlog, seconds: MonotonicClock
) -> None:
    first, second = call(tmp_path, "a", 1), call(tmp_path, "a", 2)
    backlog.scan_spool()
    assert take_names(backlog, count=1) == [first.name]
    assert backlog.fail_step(first, lambda failures: 10.0 * (failures + 1)) == 1
    assert take_names(backlog) == [second.name]
    seconds.at += 9.9
    assert take_names(backlog) == []
    seconds.at += 0.2
    assert take_names(backlog) == [first.name]
    assert backlog.fail_step(first, lambda failures: 10.0 * (failures + 1)) == 2
    seconds.at += 19
    assert take_names(backlog) == []


def test_finds_ended_calls_and_forgets_removed_ones(
    tmp_path: Path, backlog: Backlog, seconds: MonotonicClock
) -> None:
    going_on, removed = call(tmp_path, "a", 1, ended=False), call(tmp_path, "a", 2)
    backlog.scan_spool()
    assert len(backlog) == 1
    layout.remove_take(layout.RemovableTake(removed))
    layout.close_take(going_on, CallEnd("recorded", None, AT, None))
    backlog.scan_spool()
    assert len(backlog) == 1, "not before the next scan is due"
    seconds.at += 1.1
    backlog.scan_spool()
    assert take_names(backlog) == [going_on.name]


def test_opens_each_take_once(
    tmp_path: Path, backlog: Backlog, seconds: MonotonicClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in range(50):
        call(tmp_path, "a", minute)
    opens: list[str] = []
    look = stages.next_stage
    monkeypatch.setattr(stages, "next_stage", lambda folder: opens.append(folder.name) or look(folder))
    for _ in range(5):
        backlog.scan_spool()
        seconds.at += 60
        take_names(backlog, count=3)
    assert len(opens) == len(set(opens)) == 50


def test_ten_thousand_takes_do_not_block_the_loop(
    tmp_path: Path, seconds: MonotonicClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan stops after its time budget, continues at once, and finds all takes."""
    folders = [call(tmp_path, "a", minute) for minute in range(20)]
    look = stages.next_stage

    def slow(folder: Path) -> stages.Stage | None:
        seconds.at += 0.1
        return look(folder)

    monkeypatch.setattr(stages, "next_stage", slow)
    backlog = Backlog(tmp_path, seconds)
    looks = 0
    while len(backlog) < len(folders):
        before = seconds.at
        backlog.scan_spool()
        assert seconds.at - before < 1
        looks += 1
    assert looks == 4


def test_reports_an_unreadable_spool_once(tmp_path: Path, seconds: MonotonicClock, clock: Clock) -> None:
    backlog = Backlog(tmp_path / "spool", seconds)
    with capture_logs() as logs:
        for _ in range(3):
            backlog.scan_spool()
            seconds.at += 60
        (tmp_path / "spool").mkdir()
        folder = call(tmp_path / "spool", "a", 1)
        backlog.scan_spool()
    assert [line["event"] for line in logs] == ["spool.unreadable", "spool.recovered"]
    assert take_names(backlog) == [folder.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is closed to another user")
def test_scans_past_an_unreadable_folder(tmp_path: Path, seconds: MonotonicClock) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == "root" and "pytest" in str(parent):
            parent.chmod(0o755)
    closed, open_ = call(tmp_path, "a", 1), call(tmp_path, "a", 2)
    closed.chmod(0o700)
    open_.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        backlog = Backlog(tmp_path, seconds)
        with capture_logs() as logs:
            backlog.scan_spool()
        warnings = [(line["event"], "1 folders" in line["error"], "chgrp" in line["hint"]) for line in logs]
        right = take_names(backlog) == [open_.name] and warnings == [("spool.unreadable", True, True)]
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
