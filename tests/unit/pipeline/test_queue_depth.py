"""The queue depth of the spool, by file names alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.audio.encoded_take import ENCODED
from recorder.config import Settings
from recorder.pipeline import queue_depth
from recorder.pipeline.queue_depth import measure
from recorder.pipeline.stages import next_stage, step
from recorder.processes.worker_loop import Worker
from recorder.processes.worker_status import Overseer
from recorder.seal.sealing import NAME as MANIFEST
from recorder.spool.layout import STORED
from recorder.store.directory import DirectoryStore


def put(spool: Path, name: str, *files: str, ended: datetime | None = None) -> Path:
    folder = spool / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(b"." * 10)
    if ended is not None:
        os.utime(folder / "take.json", (ended.timestamp(), ended.timestamp()))
    return folder


def test_takes_are_counted_by_stage(tmp_path: Path) -> None:
    early, late = datetime(2026, 11, 25, 8, tzinfo=UTC), datetime(2026, 11, 25, 9, tzinfo=UTC)
    put(tmp_path, "a", "call.json", "audio.wav")
    put(tmp_path, "b", "call.json", "take.json", ended=late)
    put(tmp_path, "c", "call.json", "take.json", ENCODED, ended=early)
    put(tmp_path, "d", "call.json", "take.json", ENCODED, MANIFEST, ended=late)
    put(tmp_path, "e", "call.json", "take.json", ENCODED, MANIFEST, STORED, ended=late)
    put(tmp_path, ".gone-f", "take.json")
    put(tmp_path, "quarantine/g", "take.json", "quarantine.json")
    (tmp_path / ".daemon").write_bytes(b".")
    found = measure(tmp_path)
    assert found.counts == {"call": 1, "encode": 1, "seal": 1, "store": 1, "catalogue": 1}
    assert tuple(found.counts) == queue_depth.STAGES
    assert (found.finished, found.oldest, found.aside, found.closed) == (4, early, 1, 0)
    assert found.size == 10 * (2 + 2 + 3 + 4 + 5 + 2)


def test_queue_depth_agrees_with_the_pipeline(house) -> None:
    folder = house.take()
    while (stage := next_stage(folder)) is not None:
        assert measure(house.spool).counts[stage] == 1

        step(folder, house.clock(), house.services)
    assert measure(house.spool).finished == 0


def test_missing_spool_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        measure(tmp_path / "none")


def test_two_thousand_takes_are_measured_quickly(tmp_path: Path) -> None:
    for number in range(2000):
        put(tmp_path, f"{number:05}", "call.json", "events.jsonl", "audio.wav", "take.json")
    start = os.times()
    assert measure(tmp_path).finished == 2000
    ended = os.times()
    assert ended.user + ended.system - start.user - start.system < 2.0


def test_age_of_the_oldest_take_is_reported(house) -> None:
    house.take()
    worker = Worker(house.services, Settings())
    overseer = Overseer(worker, DirectoryStore(house.folder / "bucket"), house.clock(), now=house.clock)
    assert not overseer._spool().ok, "it was not looked at yet"
    overseer._depth = measure(house.spool)
    overseer._problem = ""
    assert overseer._depth.oldest is not None
    house.clock.at = overseer._depth.oldest + timedelta(minutes=3)
    assert overseer._age() == 180.0
    assert overseer._spool().ok
