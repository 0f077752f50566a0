"""The disks of the spool, the catalogue and the store are full, inaccessible or missing under a real
worker."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.catalogue import queries
from recorder.cli import accord
from recorder.pipeline import stages
from recorder.spool import layout
from recorder.store.directory import DirectoryStore
from tests.faults.disks import MIB, SmallDisk
from tests.processes import Installation, Process
from tests.waiting import until


def stored(house) -> set[str]:
    return {row.id for row in queries.recordings(house.tenant, limit=200).rows}


def waits(process: Process, text: str) -> bool:
    return any(text in entry.get("error", "") for entry in process.log("take.delayed"))


def sounds(folders: list[Path]) -> list[bytes]:
    return [(folder / layout.AUDIO).read_bytes() for folder in folders]


@pytest.fixture(params=["tmpfs", pytest.param("ext4", marks=pytest.mark.long)])
def spool_disk(request, house, small_disk: Callable[..., SmallDisk]) -> SmallDisk:
    """The installation's spool is on a disk of its own."""
    return small_disk("spool", request.param, 24 * MIB)


@pytest.mark.long
def test_spool_disk_full_to_the_last_block(
    house, clock, processes: Installation, spool_disk: SmallDisk
) -> None:
    """Takes wait unchanged, none goes into quarantine; those that need no space continue; with space, all are
    stored."""
    folders = []
    for _ in range(3):
        folders.append(house.take())
        clock.forward(seconds=1)
    unrecorded = house.unrecorded()
    before = sounds(folders)
    spool_disk.fill()
    process = processes.start("worker")
    until("a failure that is written down", lambda: waits(process, "No space left"))
    until("what needs no room", lambda: not unrecorded.exists())
    delays = [entry for entry in process.log("take.delayed") if "No space left" in entry["error"]]
    assert all("make room" in entry["hint"] for entry in delays)
    assert len(delays) == 1, "what all of them wait for is logged once"
    assert sounds(folders) == before
    assert not (house.spool / layout.QUARANTINE).exists()
    spool_disk.free()
    until("all, once there is room", lambda: stored(house) == {folder.name for folder in folders})
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert process.log("take.recovered")[0]["failures"] > 0
    assert process.stop() == 0


@pytest.mark.long
def test_encoded_takes_leave_a_full_disk(
    house, clock, processes: Installation, spool_disk: SmallDisk
) -> None:
    """Sealed before the disk was full, they need no block to be stored."""
    folders = []
    for _ in range(3):
        folders.append(house.take())
        clock.forward(seconds=1)
        while stages.next_stage(folders[-1]) != "store":
            stages.step(folders[-1], clock(), house.services)
    spool_disk.fill()
    assert spool_disk.left() == 0
    process = processes.start("worker")
    until("all of them", lambda: stored(house) == {folder.name for folder in folders})
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert spool_disk.left() > 0
    assert process.stop() == 0


@pytest.mark.long
def test_encoding_pauses_while_the_disk_fills(
    house, clock, processes: Installation, spool_disk: SmallDisk, tmp_path: Path
) -> None:
    """Above ``warn_at`` takes wait unchanged; once the store is available, they continue although the disk is
    still full."""
    (tmp_path / "bucket").rename(tmp_path / "elsewhere")
    first = house.take()
    process = processes.start("worker")
    until("a store that is away", lambda: waits(process, "is not the store that was there"))
    spool_disk.fill(leave=2 * MIB)
    until("it holds back", lambda: process.log("worker.throttled"))
    clock.forward(seconds=1)
    second = house.take(talk_ms=1000)
    left = spool_disk.left()
    time.sleep(4)
    assert stages.next_stage(second) == "encode"
    assert spool_disk.left() == left
    (tmp_path / "elsewhere").rename(tmp_path / "bucket")
    until("both, once the store is back", lambda: stored(house) == {first.name, second.name})
    assert process.stop() == 0


@pytest.mark.long
def test_catalogue_disk_full(
    house, processes: Installation, small_disk: Callable[..., SmallDisk], tmp_path: Path
) -> None:
    disk = small_disk("database", "ext4", 8 * MIB)
    source = house.catalogue_url.removeprefix("sqlite:///")
    if "://" in source:
        pytest.skip("a PostgreSQL server has its own disk")
    copy = disk.folder / "catalogue.db"
    with (
        contextlib.closing(sqlite3.connect(source)) as original,
        contextlib.closing(sqlite3.connect(copy)) as there,
    ):
        original.backup(there)
    process = processes.start("worker", ACCORD_CATALOGUE_URL=f"sqlite:///{copy}")
    until("a worker", lambda: process.log("snapshot.written"))
    folders: list[Path] = []

    def waits_for_room() -> bool:
        # The database's own maintenance frees enough space for a row.
        disk.fill()
        if not folders or not folders[-1].exists():
            folders.append(house.take())
        return bool(process.log("take.delayed"))

    until("a failure that is written down", waits_for_room)
    folder, delay = folders[-1], process.log("take.delayed")[0]
    assert delay["error_id"] == "catalogue.away"
    assert "full" in delay["error"] or "disk I/O" in delay["error"]
    assert folder.exists()
    disk.free()
    until("it leaves the spool, once there is room", lambda: not folder.exists())
    assert process.stop() == 0
    with contextlib.closing(sqlite3.connect(copy)) as there:
        rows = there.execute("SELECT id FROM recording").fetchall()
        assert {name for (name,) in rows} == {each.name for each in folders}
        assert there.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.long
def test_store_disk_full_then_not_mounted(
    house, clock, processes: Installation, small_disk: Callable[..., SmallDisk], tmp_path: Path
) -> None:
    """Nothing is written beneath a disk that is not mounted, and nothing partial is kept on a full one."""
    shutil.rmtree(tmp_path / "bucket")
    disk = small_disk("bucket", "ext4", 16 * MIB)
    DirectoryStore(disk.folder).init()
    disk.fill()
    folders = [house.take()]
    process = processes.start("worker")
    until("a failure that is written down", lambda: waits(process, "No space left"))
    assert list(house.services.store.list("")) == []
    disk.free()
    until("the recording, once there is room", lambda: stored(house) == {folders[0].name})
    process.stop()
    disk.unmount()
    clock.forward(seconds=1)
    folders.append(house.take())
    process = processes.start("worker")
    until("a disk that is missed", lambda: waits(process, "is not the store that was there"))
    assert list((tmp_path / "bucket").iterdir()) == []
    disk.mount()
    until("both, once it is mounted", lambda: stored(house) == {folder.name for folder in folders})
    assert process.stop() == 0


def listed_takes(house) -> dict[str, dict[str, str | None]]:
    """What ``accord take list`` shows of each."""
    environment = {"ACCORD_NODE_DATA": str(house.folder)}
    output = CliRunner().invoke(accord, ["take", "list", "--json"], env=environment).stdout
    return {each["id"]: each for each in json.loads(output)["takes"]}


@pytest.mark.long
def test_store_that_cannot_be_written_is_named_as_the_cause(
    house, processes: Installation, small_disk: Callable[..., SmallDisk], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "bucket")
    disk = small_disk("bucket", "tmpfs", 16 * MIB)
    DirectoryStore(disk.folder).init()
    disk.remount("ro")
    folder = house.take()
    process = processes.start("worker")
    until("a reason in the list", lambda: listed_takes(house)[folder.name]["reason"])
    take = listed_takes(house)[folder.name]
    assert take["state"] == "waiting"
    assert str(take["reason"]).startswith(f"{disk.folder}: Read-only file system (nothing is lost")
    assert "its disk is mounted read-only" in str(take["reason"])
    assert "spool's disk" not in str(take["reason"])
    assert take["failing_since"]
    status = CliRunner().invoke(accord, ["status"], env=processes.environment()).stdout
    assert "; 1 fail" in status
    disk.remount("rw")
    until("the recording, once it may be written", lambda: stored(house) == {folder.name})
    assert process.stop() == 0


def sandbox(folder: Path) -> tuple[str, ...]:
    """The prefix of a command for which a folder is read-only, as in a unit with ``ProtectSystem=strict``."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    script = f'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec "$@"'
    return ("unshare", "--mount", "sh", "-ec", script, "sh")


@pytest.mark.long
def test_sandbox_around_the_spool_is_told_from_a_disk_that_failed(
    house, processes: Installation, small_disk: Callable[..., SmallDisk]
) -> None:
    house.spool.mkdir(exist_ok=True)
    process = processes.start("worker", before=sandbox(house.spool))
    assert process.popen.wait(60) == 2
    assert "ReadWritePaths=" in process.log_text()
    disk = small_disk("spool")
    disk.remount("ro")
    process = processes.start("worker")
    assert process.popen.wait(60) == 2
    assert "its disk is mounted read-only" in process.log_text()


@pytest.mark.long
def test_panel_whose_port_is_in_use(house, processes: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = processes.start("web", ACCORD_WEB_PORT=str(port))
        assert process.popen.wait(60) == 2
    output = process.log_text()
    assert f"the panel cannot listen on 127.0.0.1:{port}: Address already in use" in output
    assert "another process has that port" in output
    assert "Traceback" not in output


@pytest.fixture
def mortal() -> tuple[str, ...]:
    """The prefix of a command that runs without root's permission to read and write everything."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed (util-linux)")
    return ("setpriv", "--inh-caps=-all", "--bounding-set=-all")


@pytest.fixture
def chmod() -> Iterator[Callable[[Path, int], None]]:
    """Revokes permissions, and restores them at the end."""
    before: dict[Path, int] = {}

    def change(path: Path, mode: int) -> None:
        before.setdefault(path, path.stat().st_mode)
        path.chmod(mode)

    yield change
    for path, mode in before.items():
        if path.exists():
            path.chmod(mode)


@pytest.mark.long
def test_lost_permission(
    house, clock, processes: Installation, mortal: tuple[str, ...], chmod: Callable[[Path, int], None]
) -> None:
    """A take's folder, a take's file, the spool and the store become inaccessible to the worker, one after
    another. Other takes continue, none goes into quarantine, and all are stored once access is restored."""
    closed, unreadable, well = house.take(), house.take(), house.take()
    chmod(closed, 0o000)
    chmod(unreadable / layout.AUDIO, 0o000)
    process = processes.start("worker", before=mortal)
    until("the one that is open", lambda: stored(house) == {well.name})
    until("a failure that is written down", lambda: waits(process, "Permission denied"))
    delays = [entry for entry in process.log("take.delayed") if entry["recording"] == unreadable.name]
    assert "one group" in delays[0]["hint"]
    (warning,) = process.log("spool.unreadable")
    assert "1 folders" in warning["error"]
    chmod(closed, 0o755)
    chmod(unreadable / layout.AUDIO, 0o644)
    until("both, once it may", lambda: {closed.name, unreadable.name} <= stored(house))
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))

    clock.forward(minutes=1)
    late = house.take()
    chmod(house.spool, 0o555)
    until("stored and listed", lambda: stored(house) >= {late.name})
    assert late.exists(), "its folder cannot be removed"
    chmod(house.spool, 0o755)
    until("its folder goes, once it may", lambda: not late.exists())
    assert len(stored(house)) == 4

    chmod(house.folder / "bucket" / ".incoming", 0o555)
    clock.forward(minutes=1)
    last = house.take()
    until("a store that is closed", lambda: stages.next_stage(last) == "store" and waits(process, "bucket"))
    chmod(house.folder / "bucket" / ".incoming", 0o755)
    until("stored, once it may", lambda: last.name in stored(house))
    assert not (house.spool / layout.QUARANTINE).exists()
    assert process.stop() == 0


@pytest.mark.long
def test_exhausted_file_handles(house, clock, processes: Installation) -> None:
    """No further file can be opened while takes arrive; later files can be opened, without a restart."""
    process = processes.start("worker")
    until("a worker", lambda: process.log("snapshot.written"))
    first = house.take()
    until("one that goes through", lambda: stored(house) == {first.name})
    allowed = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, allowed[1]))
    folders = []
    for _ in range(3):
        clock.forward(seconds=1)
        folders.append(house.take())
    until("it says so", lambda: process.log("spool.unreadable"))
    assert "LimitNOFILE" in process.log("spool.unreadable")[0]["hint"]
    time.sleep(2)
    assert process.popen.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, allowed)
    until("all of them", lambda: stored(house) == {each.name for each in (first, *folders)})
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert not (house.spool / layout.QUARANTINE).exists()
    assert process.stop() == 0


@pytest.mark.long
@pytest.mark.parametrize("spare", [1, 3])
def test_file_handles_run_out_during_takes(house, clock, processes: Installation, spare: int) -> None:
    """A few files can be opened, enough to start a take but not to finish it. None goes into quarantine for
    it."""
    process = processes.start("worker")
    until("a worker", lambda: process.log("snapshot.written"))
    folders = [house.take()]
    until("one that goes through", lambda: stored(house) == {folders[0].name})
    allowed = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{process.pid}/fd"))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (highest + 1 + spare, allowed[1]))
    for _ in range(4):
        clock.forward(seconds=1)
        folders.append(house.take())
        house.unrecorded()
    time.sleep(4)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, allowed)
    until("all of them", lambda: stored(house) == {folder.name for folder in folders})
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert not (house.spool / layout.QUARANTINE).exists()
    assert process.stop() == 0


@pytest.mark.parametrize("seconds", [7, pytest.param(70, marks=pytest.mark.long)])
def test_catalogue_locked_by_another_process(house, clock, processes: Installation, seconds: int) -> None:
    """Another writer holds SQLite's lock: takes wait, one tries for all, and nothing is lost."""
    path = house.catalogue_url.removeprefix("sqlite:///")
    if "://" in path:
        pytest.skip("PostgreSQL has no lock that holds up everybody")
    process = processes.start("worker")
    until("a worker", lambda: process.log("snapshot.written"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        folders = []
        for _ in range(3):
            folders.append(house.take())
            clock.forward(seconds=1)
        until("a failure that is written down", lambda: waits(process, "locked"))
        time.sleep(seconds - 5)
        assert len(process.log("take.delayed")) == 1
        assert all(folder.exists() for folder in folders)
        other.execute("ROLLBACK")
    until("all of them", lambda: stored(house) == {folder.name for folder in folders})
    assert process.stop() == 0
