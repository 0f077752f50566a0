"""A clock that jumps under real processes: libfaketime moves only theirs."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.spool import layout
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports
from tests.processes import Installation, Process, stored_in
from tests.waiting import until

LIBRARIES = sorted(Path("/usr").glob("lib*/**/faketime/libfaketime.so.1"))


class FakedClock:
    """A clock of processes that can be moved while they run."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "faketime"
        self.set("+0")

    def set(self, offset: str) -> None:
        """Move the clock by ``+10y``, ``-1d`` or ``+5m``, at once and in every process."""
        new = self.file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.rename(self.file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def now(self) -> datetime:
        """The time as a process sees it."""
        result = subprocess.run(
            ["date", "+%s"], env=self.environment, capture_output=True, text=True, check=True
        )
        return datetime.fromtimestamp(int(result.stdout), UTC)


@pytest.fixture
def faked_clock(tmp_path: Path) -> FakedClock:
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")
    return FakedClock(tmp_path)


def rows(house) -> list:
    return [row for row in queries.recordings(house.tenant).rows if row.erased_at is None]


def is_kept(house, recording: str) -> bool:
    row = queries.recording(house.tenant, recording)
    return row is not None and row.erased_at is None


def worker(processes: Installation, faked_clock: FakedClock) -> Process:
    process = processes.start("worker", **faked_clock.environment)
    until("a worker", lambda: process.log("worker.started"))
    return process


def test_faked_clock_is_effective(faked_clock: FakedClock) -> None:
    faked_clock.set("+10y")
    assert timedelta(days=3600) < faked_clock.now() - datetime.now(UTC) < timedelta(days=3700)


@pytest.mark.long
@pytest.mark.parametrize(
    "jump", ["+40d", *(pytest.param(jump, marks=pytest.mark.long) for jump in ("+10y", "-1d", "+5m"))]
)
def test_worker_with_a_jumped_clock_deletes_nothing(
    house, processes: Installation, faked_clock: FakedClock, jump: str
) -> None:
    """Neither a recording nor a take in quarantine has expired; the clock jumps while the worker runs."""
    folder, aside = house.take(), house.take()
    (aside / layout.AUDIO).write_bytes(b"RIFF")
    process = worker(processes, faked_clock)
    until("the recording", lambda: is_kept(house, folder.name))
    until("quarantine", lambda: (house.spool / layout.QUARANTINE / aside.name).exists())
    until("a first look at the clock", lambda: (house.spool / ".clock").exists())
    process.stop()
    faked_clock.set(jump)
    # The next worker starts with a check; new takes are processed meanwhile.
    process = worker(processes, faked_clock)
    until("housekeeping that waits", lambda: len(process.log("duty.delayed")) >= 2)
    errors = [entry["error"] for entry in process.log("duty.delayed")]
    assert all("clock says" in text and "NTP" in text for text in errors)
    house.take()
    late = house.unrecorded()
    until("a call that is listed", lambda: queries.not_recorded(house.tenant, limit=10).rows)
    until("it leaves the spool", lambda: not late.exists())
    assert is_kept(house, folder.name)
    assert (house.spool / layout.QUARANTINE / aside.name).exists()
    faked_clock.set("+0")
    process.stop()
    process = worker(processes, faked_clock)
    until("both recordings, once the clock is right", lambda: len(rows(house)) == 2)
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert is_kept(house, folder.name)
    assert process.log("duty.delayed") == []
    with connected():
        numbers = [
            entry.number
            for entry in LeafTable.select(LeafTable.number)
            .where(LeafTable.tenant == house.tenant)
            .order_by(LeafTable.number)
        ]
    assert numbers == list(range(len(numbers))), "the log has no gap and no fork"


@pytest.mark.long
def test_clock_that_jumps_and_returns(house, processes: Installation, faked_clock: FakedClock, clock) -> None:
    """Takes before, during and after the jump are all stored, once."""
    process = worker(processes, faked_clock)
    folders = []
    for offset in ("+0", "-1d", "+5m", "+10y", "+0"):
        faked_clock.set(offset)
        folders.append(house.take())
        clock.forward(seconds=1)
    until("every recording", lambda: len(rows(house)) == len(folders))
    assert sorted(row.id for row in rows(house)) == sorted(folder.name for folder in folders)
    assert process.stop() == 0


@pytest.mark.long
def test_clock_of_the_object_store_decides(
    house, processes: Installation, faked_clock: FakedClock, tmp_path: Path
) -> None:
    """For the worker the store is on another machine, by a name that is none of its addresses. The store's
    clock is right, so the worker's wrong clock is detected at the first check."""

    server = SeaweedFS(tmp_path / "seaweedfs", free_ports(PORTS))
    server.start()
    try:
        bucket = server.bucket()
        processes.settings |= stored_in(bucket)
        assert bucket.endpoint is not None
        store = S3Store(bucket)
        faked_clock.set("+1d")
        folder = house.take()
        process = worker(processes, faked_clock)
        until("a store that refuses a clock a day ahead", lambda: process.log("take.delayed"))
        (delay, *_) = process.log("take.delayed")
        assert delay["error_id"] == "store.clock"
        assert "NTP" in delay["error"]
        faked_clock.set("+0")
        until("the recording, once the clock is right", lambda: is_kept(house, folder.name))
        assert len(list(store.list(""))) > 0
    finally:
        server.stop(seconds=0)
