"""Several nodes with one catalogue and one bucket, each with its own folder, spool and worker process.
PostgreSQL and SeaweedFS are real."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

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
from tests.processes import Installation, Process, stored_in
from tests.stored_recordings import assert_stored_once

PROGRAM = (sys.executable, str(Path(__file__).with_name("node.py")))
TURNS = {checkpoint.SEARCH, notifications_duty.LEASE, usage_duty.LEASE}
"""Leases of work that one worker does for all of them; they end by themselves."""


@dataclass
class Node(Installation):
    """A machine: a folder with a spool, and Accord's processes."""

    name: str = ""
    house: object = None
    program: tuple[str, ...] = PROGRAM

    def take(self, **changes: object) -> str:
        """Put an ended call into this node's spool; returns its id."""
        values = {"node": self.name, "talk_ms": 500, "formats": ("wav",)}
        return self.house.take(**(values | changes)).name

    def left(self) -> list[Path]:
        """Folders of takes in the spool, without the quarantine."""
        aside = (layout.QUARANTINE,)
        return [each for each in self.house.spool.iterdir() if each.is_dir() and each.name not in aside]

    def upgrade(self, migrations: Path) -> None:
        """Install a later version, with these migrations: what is started from here on is of it."""
        self.program = (*PROGRAM, "--migrations", str(migrations))

    def work(self) -> Process:
        """Start its worker, and wait until it runs."""
        process = self.start("worker")
        process.wait_for_log("worker.started")
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
    settings = {
        **stored_in(there),
        "ACCORD_CATALOGUE_URL": house.catalogue_url,
        "ACCORD_KEYS_FOLDER": str(house.folder / "keys"),
        "ACCORD_WORKER_NICE": "5",
    }
    own_nodes = []
    for name in ("north", "east", "south"):
        data = house.folder / name
        (data / "spool").mkdir(parents=True)
        own_settings = {**settings, "ACCORD_NODE_NAME": name}
        own_nodes.append(Node(data, own_settings, name=name, house=house.replaced(folder=data)))
    yield Nodes(house, house.catalogue_url, own_nodes)
    for node in own_nodes:
        node.close()
