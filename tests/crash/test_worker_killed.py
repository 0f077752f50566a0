"""The worker is killed at each boundary between two durable states, and by chance in between; the next one
finishes: one object set, one row, one leaf, an empty spool."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import queries
from recorder.catalogue.models import LedgerEntry, connected
from recorder.seal.manifest import open_manifest
from recorder.take import spool

SOURCE = str(Path(recorder.__file__).parents[1])
WORK = Path(__file__).with_name("work.py")
DEADLINE = 60.0

TAKE = (
    "encoded",
    "sealed",
    "put {id}.json",
    "put audio.opus",
    "put audio.wav",
    "put peaks",
    "put manifest.json",
    "stored",
    "catalogued",
    "removed",
)


@pytest.fixture
def worker(house) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts workers on the house, and ends what still runs."""
    started: list[subprocess.Popen[bytes]] = []

    def start(boundary: str | None = None) -> subprocess.Popen[bytes]:
        argv = [sys.executable, str(WORK), str(house.root), *([boundary] if boundary else [])]
        said = house.root / f"worker-{len(started)}.log"
        with open(said, "wb") as log:
            process = subprocess.Popen(argv, stdout=log, env={**os.environ, "PYTHONPATH": SOURCE})
        process.said = said
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def until(met: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def today(clock) -> None:
    """Real processes have the machine's clock; what they seal must not lie in their future."""
    clock.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)


@pytest.mark.parametrize("boundary", TAKE)
def test_a_take_is_stored_once_whatever_boundary_the_worker_dies_at(today, house, worker, boundary) -> None:
    folder = house.take()
    first = worker(boundary.format(id=folder.name))
    assert first.wait(DEADLINE) == -signal.SIGKILL
    finish(house, worker)
    assert_stored_once(house, folder.name)


@pytest.mark.parametrize("boundary", ["noted", "removed"])
def test_a_call_that_was_not_recorded_is_listed_once(today, house, worker, boundary) -> None:
    folder = house.unrecorded()
    assert worker(boundary).wait(DEADLINE) == -signal.SIGKILL
    finish(house, worker)
    assert [row.id for row in queries.not_recorded(house.tenant).rows] == [folder.name]
    assert kinds(folder.name) == ["call.not_recorded"]


def test_an_impossible_take_is_set_aside_once(today, house, worker) -> None:
    folder = house.take()
    (folder / spool.AUDIO).write_bytes(b"RIFF")
    assert worker("listed").wait(DEADLINE) == -signal.SIGKILL
    finish(house, worker)
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.id, row.reason) == (folder.name, "take.impossible")
    assert (house.spool / spool.QUARANTINE / folder.name / spool.AUDIO).exists()


def test_a_worker_killed_again_and_again_finishes_every_take_once(today, house, worker, clock) -> None:
    folders = []
    for _ in range(4):
        folders.append(house.take())
        clock.forward(seconds=2)
    seed = int.from_bytes(hashlib.sha256(b"kills").digest()[:4], "big")
    for _ in range(8):
        process = worker()
        seed = (seed * 1103515245 + 12345) % 2**31
        time.sleep(0.3 + seed / 2**31 * 2.0)
        process.kill()
        process.wait()
    finish(house, worker)
    for folder in folders:
        assert_stored_once(house, folder.name)
    assert len(queries.recordings(house.tenant).rows) == len(folders)


def test_an_encoder_dies_with_its_worker(today, house, worker) -> None:
    house.take(talk_ms=1_200_000)
    process = worker()
    encoders: list[int] = []

    def encoding() -> bool:
        encoders[:] = children(process.pid)
        return bool(encoders)

    until(encoding, "an encoder")
    process.kill()
    process.wait()
    until(lambda: not any(alive(pid) for pid in encoders), "the encoder's end")


def test_sigterm_lets_work_end_and_the_spool_is_free_again(today, house, worker) -> None:
    process = worker()
    until(lambda: (house.root / "snapshot" / "snapshot.json").exists(), "a snapshot")
    second = worker()
    assert second.wait(DEADLINE) not in (0, -signal.SIGKILL), "two workers on one spool"
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    folder = house.take()
    finish(house, worker)
    assert_stored_once(house, folder.name)


def finish(house, worker) -> None:
    process = worker()
    until(lambda: b"worker.started" in process.said.read_bytes(), "a worker at work")
    until(lambda: not folders(house.spool), "an empty spool")
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0


def folders(place: Path) -> list[Path]:
    """Takes and what is left of them; not the worker's lock, nor quarantine."""
    return [entry for entry in place.iterdir() if entry.is_dir() and entry.name != spool.QUARANTINE]


def assert_stored_once(house, recording: str) -> None:
    row = queries.recording(house.tenant, recording)
    assert row is not None
    mine = [key for key in house.objects() if recording in key]
    names = ("audio.opus", "audio.wav", "manifest.json", "peaks")
    assert mine == sorted([*(row.prefix + name for name in names), f"keys/{house.tenant}/{recording}.json"])
    content = house.means.store.read(row.prefix + "manifest.json")
    manifest = open_manifest(content, house.means.root_public)
    assert hashlib.sha256(content).hexdigest() == row.manifest_sha256
    for each in manifest.objects:
        stored = house.means.store.read(row.prefix + each.name)
        assert hashlib.sha256(stored).hexdigest() == each.stored_sha256
    assert kinds(recording) == ["recording.stored"]


def kinds(recording: str) -> list[str]:
    with connected():
        return [leaf.kind for leaf in LedgerEntry.select().where(LedgerEntry.recording_id == recording)]


def children(pid: int) -> list[int]:
    """Processes that this one started, those that run Python."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    """Running; a process that has died and waits for its parent is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")
