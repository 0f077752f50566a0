"""The doctor's findings about a real object store, and about unavailable or silent ones, and wrong clocks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder import config
from recorder.clock import utc_now
from recorder.ops.doctor import storage
from recorder.ops.doctor.findings import DoctorFinding, Patient, examine
from recorder.processes.services import Context
from recorder.store import capabilities
from recorder.store.s3_client import Bucket
from recorder.store.seaweedfs import SeaweedFS
from tests.ports import free_ports


def environment(bucket: Bucket) -> dict[str, str]:
    return {
        "ACCORD_STORE_ENDPOINT": bucket.endpoint or "",
        "ACCORD_STORE_BUCKET": bucket.name,
        "ACCORD_STORE_ACCESS_KEY": bucket.access_key,
        "ACCORD_STORE_SECRET_KEY": bucket.secret_key,
    }


def look(bucket: Bucket, by: timedelta = timedelta(0), limit: float = 30.0) -> list[DoctorFinding]:
    context = Context(config.load(None, environment(bucket)), None)
    return list(examine(storage.store, Patient(context, lambda: utc_now() + by), limit))


def test_probes_the_abilities_of_a_server(seaweedfs: SeaweedFS) -> None:
    found = look(seaweedfs.bucket())
    assert {each.state for each in found} == {"ok"}, found
    report = "\n".join(each.what for each in found)
    for words in (
        "stores, returns and deletes",
        "refuses to overwrite: yes",
        "compares SHA-256: yes",
        "serves ranges: yes",
    ):
        assert words in report, report
    capability = capabilities.probe_server(seaweedfs.bucket(), os.urandom)
    assert capability.ranges
    assert capability.clock is not None


def test_reports_differing_clocks(seaweedfs: SeaweedFS) -> None:
    for by, state in ((timedelta(minutes=2), "warning"), (timedelta(minutes=-11), "wrong")):
        (found,) = [each for each in look(seaweedfs.bucket(), by) if each.state != "ok"]
        assert found.state == state
        assert "seconds" not in found.what
        assert "its clock and this machine's are" in found.what


def test_reports_a_clock_that_the_server_refuses(seaweedfs: SeaweedFS) -> None:
    """Run the whole command under another clock, since the server checks the signature's time."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is missing (package libfaketime)")
    process = subprocess.run(
        [sys.executable, "-m", "recorder", "doctor"],
        env={
            **os.environ, **environment(seaweedfs.bucket()), "ACCORD_NODE_DATA": "/nowhere",
            "LD_PRELOAD": str(library), "FAKETIME": "+40m", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
        cwd=Path(__file__).parents[2], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=100,
    )  # fmt: skip
    assert "wrong   store:" in process.stdout, process.stdout + process.stderr


def test_reports_wrong_access_keys(seaweedfs: SeaweedFS) -> None:
    (found,) = look(replace(seaweedfs.bucket(), secret_key="not that one"))
    assert (found.state, "refused" in found.what) == ("wrong", True), found


def test_reports_an_unavailable_or_silent_server(seaweedfs: SeaweedFS) -> None:
    bucket = replace(seaweedfs.bucket(), endpoint=f"http://127.0.0.1:{free_ports()}")
    (found,) = look(bucket)
    assert (found.state, "is unavailable" in found.what) == ("wrong", True), found
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bucket = replace(bucket, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        (found,) = look(bucket, limit=1.0)
    assert found == DoctorFinding(
        "wrong",
        "store: no answer within 1 s",
        "it waits for a disk, the database, the network or the switch, which does not respond",
    )


def test_bucket_that_locks_checkpoints_is_reported_as_such(seaweedfs: SeaweedFS) -> None:
    context = Context(config.load(None, environment(seaweedfs.bucket())), None)
    (found,) = examine(storage.log_lock, Patient(context, utc_now), 30.0)
    assert (found.state, found.what) == ("ok", "logs: the store locks checkpoints")
