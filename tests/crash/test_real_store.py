"""The same over a real SeaweedFS: a killed worker, and a store that is unavailable for a while."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from recorder.catalogue import queries
from recorder.pipeline import stages
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports
from tests.waiting import until


@pytest.fixture
def server(house, workers) -> Iterator[SeaweedFS]:
    """A SeaweedFS as the installation's store."""
    folder, port = house.folder / "seaweedfs", free_ports(PORTS)
    started_server = SeaweedFS(folder, port)
    started_server.start()
    house.services = replace(house.services, store=S3Store(started_server.bucket()))
    workers.store_arguments = (str(folder), str(port))
    yield started_server
    started_server.stop(seconds=0)


@pytest.mark.long
def test_killed_while_storing_and_unavailable_store(house, workers, server, clock) -> None:
    folders = []
    for boundary in ("put {id}.json", "put audio.wav", "put manifest.json", "stored"):
        folders.append(house.take())
        clock.forward(seconds=1)
        process = workers.start(boundary.format(id=folders[-1].name))
        assert process.ended() == -signal.SIGKILL

    server.stop(seconds=0)
    folders.append(house.take())
    process = workers.start()
    until("as far as it gets without a store", lambda: stages.next_stage(folders[-1]) == "store")
    until("a failure that is written down", lambda: b"take.delayed" in process.log_path.read_bytes())
    assert all(folder.exists() for folder in folders[-2:])
    catalogued = len(queries.recordings(house.tenant).rows)

    server.start()
    until("an empty spool once the store is back", lambda: not workers.left())
    process.stop()
    for folder in folders:
        workers.assert_stored_once(folder.name)
    assert catalogued < len(folders) == len(queries.recordings(house.tenant).rows)
