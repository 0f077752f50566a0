"""The worker is killed at each boundary between two durable states, and at random in between. The next one
finishes: one set of objects, one row, one leaf, an empty spool."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.pipeline import stages
from recorder.spool import layout
from tests.waiting import until

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


@pytest.mark.long
def test_killed_at_every_boundary_one_after_another_a_take_is_stored_once(house, workers) -> None:
    folder = house.take()
    for boundary in TAKE:
        assert workers.start(boundary.format(id=folder.name)).ended() == -signal.SIGKILL, boundary
    workers.finish()
    workers.assert_stored_once(folder.name)


@pytest.mark.long  # at each by itself
@pytest.mark.parametrize("boundary", TAKE)
def test_killed_at_any_boundary_the_take_is_stored_once(house, workers, boundary) -> None:
    folder = house.take()
    first = workers.start(boundary.format(id=folder.name))
    assert first.ended() == -signal.SIGKILL
    workers.finish()
    workers.assert_stored_once(folder.name)


@pytest.mark.parametrize("boundary", ["noted", "removed"])
def test_lists_an_unrecorded_call_once(house, workers, boundary) -> None:
    folder = house.unrecorded()
    assert workers.start(boundary).ended() == -signal.SIGKILL
    workers.finish()
    assert [row.id for row in queries.not_recorded(house.tenant).rows] == [folder.name]
    assert workers.kinds(folder.name) == ["call.not_recorded"]


def test_quarantines_an_impossible_take_once(house, workers) -> None:
    folder = house.take()
    (folder / layout.AUDIO).write_bytes(b"RIFF")
    assert workers.start("listed").ended() == -signal.SIGKILL
    workers.finish()
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.id, row.reason) == (folder.name, "take.impossible")
    assert (house.spool / layout.QUARANTINE / folder.name / layout.AUDIO).exists()


def test_worker_killed_repeatedly_finishes_every_take_once(house, workers, clock) -> None:
    folders = []
    for _ in range(4):
        folders.append(house.take())
        clock.forward(seconds=2)
    seed = 20261125
    for _ in range(8):
        process = workers.start()
        seed = (seed * 1103515245 + 12345) % 2**31
        time.sleep(0.3 + seed / 2**31 * 2.0)
        process.kill()
    workers.finish()
    for folder in folders:
        workers.assert_stored_once(folder.name)
    assert len(queries.recordings(house.tenant).rows) == len(folders)


def test_encoder_ends_with_its_worker(house, workers) -> None:
    folder = house.take(talk_ms=1_200_000)
    process = workers.start()
    encoders: list[int] = []

    def encoding() -> bool:
        encoders[:] = children(process.pid)
        return bool(encoders)

    until("an encoder", encoding)
    process.kill()
    until("the encoder's end", lambda: not any(alive(pid) for pid in encoders))
    assert stages.next_stage(folder) == "encode", "it was interrupted, not awaited"


def test_sigterm_drains_and_releases_the_spool(house, workers) -> None:
    process = workers.start()
    until("a snapshot", lambda: (house.folder / "snapshot" / "snapshot.json").exists())
    second = workers.start()
    assert second.ended() not in (0, -signal.SIGKILL), "two workers on one spool"
    process.stop()
    folder = house.take()
    workers.finish()
    workers.assert_stored_once(folder.name)


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")
