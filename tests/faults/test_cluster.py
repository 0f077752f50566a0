"""SeaweedFS keeps every object on two of three servers; one is killed while the worker stores and somebody
listens."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.errors import StoreError
from recorder.identity import users
from recorder.playback.interface import Who
from recorder.processes.gate import PanelGate
from recorder.seal.verification import verify
from recorder.spool import layout
from recorder.store.retry import with_retries
from recorder.store.s3 import S3Store
from tests.faults.cluster import VOLUMES, Cluster
from tests.faults.conftest import until
from tests.faults.processes import Processes

pytestmark = pytest.mark.long


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster")
    try:
        made.start()
        yield made
    finally:
        made.end()


class Listener(threading.Thread):
    """Plays one recording again and again, as the panel does: under a grant, whole, block by block."""

    def __init__(self, house, store, recording: str) -> None:
        super().__init__(daemon=True)
        person = users.create_user(
            house.tenant,
            login="ada",
            name="Ada",
            role="customer",
            language="fr",
            password_hash="x",
            now=house.clock(),
            entropy=house.entropy,
        )
        self._who = Who(person.id, house.tenant, "customer", "fr")
        means = house.means
        self._gate = PanelGate(store, means.keyring, means.root)
        self._recording = recording
        self.heard: set[str] = set()
        self.plays = 0
        self.failures: list[str] = []
        self.longest = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            began = time.monotonic()
            try:
                grant = self._gate.grant(self._who, self._recording, "agreement")
                opened = self._gate.open(self._who, grant.id, "audio.opus", f"play-{self.plays}")
                self.heard.add(hashlib.sha256(b"".join(opened.read(0, opened.length))).hexdigest())
            except StoreError as error:
                self.failures.append(error.error_id)
            self.plays += 1
            self.longest = max(self.longest, time.monotonic() - began)


def stored(house) -> set[str]:
    return {row.id for row in queries.recordings(house.tenant, limit=200).rows}


def test_killed_server_loses_nothing(
    house, clock, processes: Processes, cluster: Cluster
) -> None:
    processes.store_in(cluster.bucket)
    store = with_retries(S3Store(cluster.bucket))
    folders = [house.take()]
    process = processes.worker()
    until(lambda: stored(house) == {folders[0].name}, "the first recording")
    listener = Listener(house, store, folders[0].name)
    listener.start()
    killed = None
    for number in range(24):
        clock.forward(seconds=1)
        folders.append(house.take(talk_ms=4000))
        if number == 8:
            # The one that has most: what is played and written is on it.
            copies = cluster.copies()
            killed = copies.index(max(copies))
            cluster.kill_volume(killed)
    until(lambda: stored(house) == {folder.name for folder in folders}, "all, with one server less", 180)
    until(lambda: not list(layout.finished_takes(house.spool)), "an empty spool")
    assert killed is not None
    plays = listener.plays
    until(lambda: listener.plays > plays + 3, "somebody still listens")
    listener.ended.set()
    listener.join(60)
    for folder in folders:
        row = queries.recording(house.tenant, folder.name)
        assert row is not None
        report = verify(store, row.prefix, house.means.root, house.means.keyring)
        assert report.ok, report.findings
    assert len(listener.heard) == 1, "every play was the same, whole"
    assert len(listener.failures) <= 2, listener.failures
    assert process.stop() == 0
    print(
        {
            "recordings": len(folders),
            "killed": f"volume server {killed + 1} of {VOLUMES}",
            "plays": listener.plays,
            "plays_that_failed": listener.failures,
            "longest_play_s": round(listener.longest, 1),
            "waits": [(each["stage"], each["error_id"]) for each in process.log("take.delayed")],
        }
    )
