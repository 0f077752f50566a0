"""A real object store that is away, hangs, cuts, or talks nonsense, for real workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.pipeline import stages
from recorder.seal.verification import verify
from recorder.spool import layout
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.faults.conftest import until
from tests.faults.processes import Processes
from tests.faults.proxy import Proxy
from tests.ports import free_ports


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), free_ports(PORTS))
    server.start()
    yield server
    server.stop(seconds=0)


@pytest.fixture
def proxy(seaweedfs: SeaweedFS, processes: Processes) -> Iterator[Proxy]:
    """Between the worker and its store."""
    endpoint = seaweedfs.bucket().endpoint
    assert endpoint is not None
    made = Proxy(int(endpoint.rpartition(":")[2]))
    processes.store_in(made.before(seaweedfs.bucket()))
    yield made
    made.end()


def stored(house) -> set[str]:
    return {row.id for row in queries.recordings(house.tenant, limit=200).rows}


def whole(house, server: SeaweedFS, recording: str) -> bool:
    """What lies in the bucket is what was sealed, every block of it."""
    row = queries.recording(house.tenant, recording)
    assert row is not None
    means = house.means
    report = verify(S3Store(server.bucket()), row.prefix, means.root, means.keyring)
    assert report.ok, report.findings
    return True


FAULTS = [
    "cut",
    *(
        pytest.param(mode, marks=pytest.mark.long)
        for mode in ("reset", "black hole", "slow", "garbage", "full")
    ),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_connection_loses_nothing(
    house, processes: Processes, proxy: Proxy, seaweedfs: SeaweedFS, clock, fault: str
) -> None:
    """Broken before the worker stores, and again in the middle; a call that is not recorded is listed all
    the while, and the heart beats."""
    proxy.set(fault)
    folders = [house.take(talk_ms=6000)]
    process = processes.worker()
    if fault == "black hole":
        until(lambda: stages.next_stage(folders[0]) == "store", "as far as it gets")
    elif fault != "slow":
        until(lambda: process.log("take.delayed"), "a failure that is written down")
        assert {entry["stage"] for entry in process.log("take.delayed")} == {"store"}
    if fault != "slow":
        assert folders[0].exists()
        assert stored(house) == set()
    clock.forward(seconds=1)
    house.unrecorded()
    until(lambda: queries.not_recorded(house.tenant).rows, "what needs no store goes on")
    proxy.set("pass")
    until(lambda: stored(house) == {folders[0].name}, "the recording, once it is back")
    for _ in range(3):
        clock.forward(seconds=1)
        folders.append(house.take(talk_ms=6000))
        proxy.set(fault)
        time.sleep(0.3)
        proxy.set("pass")
    until(lambda: stored(house) == {folder.name for folder in folders}, "all of them")
    until(lambda: not list(layout.finished_takes(house.spool)), "an empty spool")
    assert process.stop() == 0
    for folder in folders:
        assert whole(house, seaweedfs, folder.name)


@pytest.mark.long
def test_stopped_store(
    house, clock, processes: Processes, proxy: Proxy, seaweedfs: SeaweedFS
) -> None:
    """SIGSTOP: the kernel takes connections for it, and nobody answers."""
    processes.settings["ACCORD_STORE_ENDPOINT"] = seaweedfs.bucket().endpoint or ""
    pid = seaweedfs.pid
    assert pid is not None
    folders = []
    for _ in range(6):  # more than are stored at once
        folders.append(house.take(talk_ms=500))
        clock.forward(seconds=1)
    os.kill(pid, signal.SIGSTOP)
    try:
        process = processes.worker()
        until(lambda: all(stages.next_stage(folder) == "store" for folder in folders), "as far as they get")
        time.sleep(1)
        house.unrecorded()
        until(lambda: queries.not_recorded(house.tenant).rows, "what needs no store goes on", 15)
        assert all(folder.exists() for folder in folders)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: stored(house) == {folder.name for folder in folders}, "the recordings")
    assert process.stop() == 0
    for folder in folders:
        assert whole(house, seaweedfs, folder.name)


@pytest.mark.parametrize("mode", ["unknown", pytest.param("nothing", marks=pytest.mark.long)])
def test_unresolvable_store_name(
    house, processes: Processes, seaweedfs: SeaweedFS, tmp_path: Path, mode: str
) -> None:
    """DNS is away, or says nothing: the store's name has no address for a while.  The resolver that the
    worker asks is a file and a server of ours, in a mount namespace of its own."""
    from tests.faults.names import Names

    names = Names(tmp_path, mode)
    port = (seaweedfs.bucket().endpoint or "").rpartition(":")[2]
    processes.store_in(replace(seaweedfs.bucket(), endpoint=f"http://store.accord.test:{port}"))
    try:
        folder = house.take()
        process = processes.worker(before=names.inside())
        until(lambda: process.log("take.delayed"), "a failure that is written down", 120)
        said = process.log("take.delayed")[0]
        assert (said["stage"], said["error_id"]) == ("store", "store.unreachable")
        house.unrecorded()
        until(lambda: queries.not_recorded(house.tenant).rows, "what needs no store goes on", 15)
        names.mode = "answer"
        until(lambda: stored(house) == {folder.name}, "the recording, once the name is resolved")
        assert process.stop() == 0
        assert names.asked > 0
    finally:
        names.end()
    assert whole(house, seaweedfs, folder.name)
