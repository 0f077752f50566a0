"""Fifty calls on a real switch with a spool of 24 MB: the recordings that start have room to be finished, the
others are listed with their reason, and only the worker makes room. Part of ``make test-long``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder import config
from recorder.catalogue import database, queries, schema
from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.clock import utc_now
from recorder.features.tenants import snapshot
from recorder.processes.services import Context
from recorder.seal import signing
from recorder.seal.manifest import Manifest
from recorder.seal.sealing import open_manifest
from recorder.spool import layout
from recorder.store.directory import DirectoryStore
from tests.faults.disks import MIB, SmallDisk
from tests.freeswitch.switches import HOME, Rig, until
from tests.freeswitch.test_whole_path import set_up_customer
from tests.processes import Installation, Process

CALLS = 50


@dataclass
class SmallNode:
    """A node with everything but the panel."""

    rig: Rig
    disk: SmallDisk
    context: Context
    tenant: str
    bucket: Path
    worker: Process

    def stored(self) -> int:
        return len(queries.recordings(self.tenant, limit=200).rows)

    def reasons(self) -> Counter[str]:
        with connected():
            return Counter(row.reason for row in NotRecordedTable.select())

    def manifests(self) -> list[Manifest]:
        root = signing.load_public(self.context.settings.keys_folder / signing.ROOT_PUBLIC)
        return [open_manifest(path.read_bytes(), root) for path in self.bucket.rglob("manifest.json")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SmallNode]:
    rig = Rig(tmp_path)
    rig.spool.mkdir()
    disk = SmallDisk(rig.spool, "tmpfs", 24 * MIB)
    bucket = tmp_path / "bucket"
    DirectoryStore(bucket).init()
    here = Installation(tmp_path / HOME, {**rig.environment, "ACCORD_STORE_PATH": str(bucket)})
    context = Context(config.load(None, here.environment()), None)
    signing.init(context.settings.keys_folder, utc_now())
    schema.migrate(context.settings.catalogue_url)
    opened = database.open_catalogue(context.settings.catalogue_url)
    tenant = set_up_customer(context)
    (rig.snapshot / "snapshot.json").unlink()  # the rig's own
    snapshot.write(rig.snapshot, rig.spool, (), utc_now())
    worker = here.start("worker")
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield SmallNode(rig, disk, context, tenant, bucket, worker)
    finally:
        worker.stop()
        rig.stop()
        disk.end()
        opened.close()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_calls_on_a_spool_of_24_megabytes(site: SmallNode) -> None:
    rig, log = site.rig, site.rig.folder / "daemon.log"
    calls = [rig.call() for _ in range(CALLS)]
    for call in calls:
        call.wait_bridged()
    recorded = len(rig.recorded_now())
    assert 3 <= recorded <= 8
    lowest = site.disk.left()
    for _ in range(20):
        time.sleep(1)
        lowest = min(lowest, site.disk.left())
    assert all(call.alive() for call in calls)
    assert len(rig.recorded_now()) == recorded, "none was cut"
    for call in calls[: CALLS // 2]:
        call.hang_up()
    more = [rig.call() for _ in range(CALLS // 2)]
    for call in more:
        call.wait_bridged()
    # Now something else takes the room that they had, but for what it takes to finish one of them.
    site.disk.fill(leave=3 * MIB)
    until("all are ended in time", lambda: not rig.recorded_now(), 40)
    assert all(call.alive() for call in (*calls[CALLS // 2 :], *more)), "the calls go on"
    rig.hang_up_all()

    def drained() -> bool:
        return not list(rig.spool.glob(f"*/{layout.CALL}"))

    try:
        until("the spool is empty, as full as its disk is", drained, 300)
    except AssertionError:
        print(site.worker.log_text()[-4000:], site.disk.left(), site.reasons(), site.stored())
        raise
    manifests = site.manifests()
    refused = site.reasons()
    print(f"{recorded} of {CALLS} at first, {len(manifests)} in all, least free {lowest}, {refused}")
    assert len(manifests) == site.stored()
    assert len(manifests) + sum(refused.values()) == len(calls) + len(more)
    assert set(refused) == {"full_disk"}
    for manifest in manifests:
        assert [each.code for each in manifest.purposes] == ["agreement"], manifest.unannounced
        assert abs(manifest.drift_ms - sum(
            gap.end_ms - manifest.duration_ms for gap in manifest.gaps if gap.end_ms > manifest.duration_ms
        )) < 1000  # fmt: skip
    assert b"spool.write_failed" not in log.read_bytes()
    site.disk.free()
    until("there is room again", lambda: b"disk.recovered" in log.read_bytes(), 10)
    last = rig.call()
    last.wait_bridged()
    assert last.variable("accord_state") == "announced"
    last.hang_up()
    until("it is stored", lambda: site.stored() == len(manifests) + 1, 30)
