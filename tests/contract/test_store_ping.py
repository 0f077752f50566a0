"""Whether a store works is tested by a write, which creates no bucket and leaves nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from recorder import config
from recorder.clock import utc_now
from recorder.errors import StoreError
from recorder.health import HealthFinding
from recorder.ops.doctor import storage
from recorder.ops.doctor.findings import Patient, examine
from recorder.processes.services import Context
from recorder.store.object_lock import GovernanceLock
from recorder.store.ping import INTERVAL, PLACE, StorePing
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket, connect
from recorder.store.seaweedfs import SeaweedFS
from tests.clock import MonotonicClock
from tests.contract.conftest import Case, as_other
from tests.contract.test_doctor import environment
from tests.expected_errors import expect_error

SLOW_START = 3.0
"""Seconds that a server takes to answer."""

WELL = HealthFinding(True, "the store writes, reads and deletes")


def versions(bucket: Bucket, prefix: str) -> list[str]:
    page = connect(bucket).list_object_versions(Bucket=bucket.name, Prefix=prefix)
    return [entry["Key"] for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))]


def test_a_store_that_works_is_left_as_it_was(case: Case) -> None:
    before = list(case.store.list(""))
    ping = StorePing(case.store)
    assert ping() == WELL
    assert ping() == WELL
    assert list(case.store.list("")) == before


def test_no_version_stays(seaweedfs: SeaweedFS) -> None:
    bucket = seaweedfs.bucket()
    ping = StorePing(S3Store(bucket))
    assert ping() == WELL
    assert ping._key not in versions(bucket, PLACE)


def test_a_store_that_only_reads_is_unhealthy(start_seaweedfs: Callable[..., SeaweedFS]) -> None:
    bucket = start_seaweedfs({"reader": ["Read", "List"]}).bucket()
    reader = S3Store(as_other(bucket, "reader"))
    assert next(iter(reader.list(PLACE)), None) is None, "every read is answered"
    with expect_error(StoreError, "store.denied"):
        StorePing(reader)()


def test_starting_server_is_asked_once(
    start_seaweedfs: Callable[..., SeaweedFS], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put that was given up is carried out later, after what was written has been deleted."""
    server = start_seaweedfs()
    attempts: list[object] = []
    attempt = SeaweedFS._try
    monkeypatch.setattr(SeaweedFS, "_try", lambda *args: (attempts.append(args), attempt(*args)))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    threading.Timer(SLOW_START, os.kill, (server.pid, signal.SIGCONT)).start()
    server.wait_ready()
    assert len(attempts) == 1


def test_writes_seldom_while_all_is_well(seaweedfs: SeaweedFS) -> None:
    store, seconds = S3Store(seaweedfs.bucket()), MonotonicClock()
    ping = StorePing(store, monotonic=seconds)
    assert ping() == WELL
    requests: list[object] = []
    for client in (store._client, store._hash_in_header):
        client.meta.events.register("before-send.s3", lambda request, **_: requests.append(request))
    seconds.at += INTERVAL - 1
    assert ping() == WELL
    assert requests == []
    seconds.at += 1
    assert ping() == WELL
    assert 0 < len(requests) < 10


def test_nobody_creates_a_missing_bucket(seaweedfs: SeaweedFS) -> None:
    """SeaweedFS creates one at the first put of its admin, without versions and without object lock."""
    missing_bucket = replace(seaweedfs.bucket(), name="nowhere")
    for attempt in (
        StorePing(S3Store(missing_bucket)),
        S3Store(missing_bucket).abilities,
        GovernanceLock(missing_bucket).check,
    ):
        with expect_error(StoreError, "store.no_bucket") as refusal:
            attempt()
        assert "object lock" in refusal.value.hint
    context = Context(config.load(None, environment(missing_bucket)), None)
    for check in (storage.store, storage.logs):
        list(examine(check, Patient(context, utc_now), 30.0))
    (finding,) = examine(storage.store, Patient(context, utc_now), 30.0)
    assert finding.state == "wrong"
    assert "there is no" in finding.what
    for words in ("whoever runs the store", "versioning and object lock", "--object-lock-enabled-for-bucket"):
        assert words in finding.hint
    names = [each["Name"] for each in connect(missing_bucket).list_buckets()["Buckets"]]
    assert "nowhere" not in names
