"""Several nodes with one catalogue and one bucket, each with its own folder, spool and worker process.
PostgreSQL and SeaweedFS are real."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

import recorder
from recorder.auditlog import checkpoint
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.lease import LeaseTable
from recorder.features.notifications import duty as notifications_duty
from recorder.features.usage import duty as usage_duty
from recorder.spool import layout
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports
from tests.stored_recordings import assert_stored_once
from tests.waiting import until

SOURCE = str(Path(recorder.__file__).parents[1])
RUN = Path(__file__).with_name("node.py")
DEADLINE = 90.0
TURNS = {checkpoint.SEARCH, notifications_duty.LEASE, usage_duty.LEASE}
"""Leases of work that one worker does for all of them; they end by themselves."""

SETTINGS = """\
[node]
name = "{name}"
data = "{data}"

[catalogue]
url = "{url}"

[store]
endpoint = "{endpoint}"
bucket = "{bucket}"

[keys]
folder = "{keys}"

[worker]
nice = 5

[web]
secure_cookies = false

[metrics]
daemon_port = 0
worker_port = 0
web_port = 0
"""


@dataclass
class Process:
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        self.popen.send_signal(how)
        return self.popen.wait(DEADLINE)


@dataclass
class Node:
    """A machine: a folder with a spool, and Accord's processes."""

    name: str
    house: object
    settings: Path
    environment: dict[str, str]
    started: list[Process] = field(default_factory=list)
    migrations: Path | None = None
    """Set on a node with a later version."""

    @property
    def data(self) -> Path:
        return self.house.folder

    def take(self, **changes: object) -> str:
        """Put an ended call into this node's spool; returns its id."""
        values = {"node": self.name, "talk_ms": 500, "formats": ("wav",)}
        return self.house.take(**(values | changes)).name

    def left(self) -> list[Path]:
        """Folders of takes in the spool, without the quarantine."""
        aside = (layout.QUARANTINE,)
        return [each for each in self.house.spool.iterdir() if each.is_dir() and each.name not in aside]

    def command(self, *arguments: str) -> list[str]:
        future = ["--migrations", str(self.migrations)] if self.migrations else []
        return [sys.executable, str(RUN), *future, "--config", str(self.settings), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, timeout=60)

    def start(self, *arguments: str) -> Process:
        log = self.data / f"{arguments[0]}-{len(self.started)}.log"
        with open(log, "wb") as out:
            popen = subprocess.Popen(
                self.command(*arguments), env=self.environment, stdout=out, stderr=subprocess.STDOUT
            )
        self.started.append(Process(popen, log))
        return self.started[-1]

    def work(self) -> Process:
        """Start its worker, and wait until it runs."""
        process = self.start("worker")
        until(f"a worker on {self.name}", lambda: "worker.started" in process.log_text() or not process.alive)
        assert process.alive, process.log_text()
        return process

    def log_text(self) -> str:
        return "".join(process.log_text() for process in self.started)


@dataclass
class Nodes:
    """All nodes, and checks of their work."""

    house: object
    url: str
    all: list[Node]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.all)

    def assert_whole(self, recordings: list[str]) -> None:
        """Check that every spool is empty, every call is stored once, and nothing is locked."""
        assert not [left for node in self for left in node.left()]
        objects = self.house.objects()
        for recording in recordings:
            assert_stored_once(self.house, recording, objects, ("audio.wav", "manifest.json", "peaks"))
        self.assert_numbered()
        self.assert_nothing_held()

    def assert_numbered(self) -> None:
        with connected():
            entries = list(LeafTable.select().order_by(LeafTable.tenant, LeafTable.number))
        for _, leaves in itertools.groupby(entries, key=lambda entry: entry.tenant_id):
            numbers = [leaf.number for leaf in leaves]
            assert numbers == list(range(len(numbers))), "a gap or a fork"

    def assert_nothing_held(self) -> None:
        query = (
            "SELECT pid, state, query FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        with psycopg.connect(self.url, autocommit=True) as server:
            assert server.execute(query).fetchall() == []
        with connected():
            assert {row.name for row in LeaseTable.select()} <= TURNS


@pytest.fixture
def catalogue_kind() -> str:
    return "postgresql"


@pytest.fixture
def entropy() -> Callable[[int], bytes]:
    """Random: all tests use one bucket, so ids must not repeat."""
    return os.urandom


@pytest.fixture
def clock(clock):
    """Five minutes behind the machine's clock, so that no test data is in the real processes' future."""
    clock.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return clock


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), free_ports(PORTS))
    server.start()
    yield server
    server.stop(seconds=0)


@pytest.fixture
def nodes(house, bucket: SeaweedFS) -> Iterator[Nodes]:
    """Three nodes without any running process."""
    there = bucket.bucket()
    house.services = replace(house.services, store=S3Store(there))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")},
        "PYTHONPATH": SOURCE,
        "ACCORD_STORE_ACCESS_KEY": there.access_key,
        "ACCORD_STORE_SECRET_KEY": there.secret_key,
    }
    own_nodes = []
    for name in ("north", "east", "south"):
        data = house.folder / name
        (data / "spool").mkdir(parents=True)
        settings = data / "accord.toml"
        settings.write_text(
            SETTINGS.format(
                name=name,
                data=data,
                url=house.catalogue_url,
                endpoint=there.endpoint,
                bucket=there.name,
                keys=house.folder / "keys",
            )
        )
        own_nodes.append(Node(name, house.replaced(folder=data), settings, environment))
    yield Nodes(house, house.catalogue_url, own_nodes)
    for node in own_nodes:
        for process in node.started:
            if process.alive:
                process.kill()
