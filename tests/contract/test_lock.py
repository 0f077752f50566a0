"""Objects locked in the bucket: until the announced expiry, not longer; the erasing worker bypasses the
lock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recorder.catalogue import queries
from recorder.errors import ConfigError, StoreError
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_service import Changes
from recorder.seal.amendment import By
from recorder.store.object_lock import GovernanceLock
from recorder.store.s3 import S3Store
from recorder.store.s3_client import connect
from tests.amendments import amend
from tests.expected_errors import expect_error


@pytest.fixture
def clock(clock):
    """A real server uses its own clock, so the lock must end in the future."""
    clock.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return clock


def test_locked_object_is_deleted_by_the_worker_only(seaweedfs, house) -> None:
    bucket = seaweedfs.bucket()
    store, lock = S3Store(bucket, house.entropy), GovernanceLock(bucket)
    lock.check()
    house.services = replace(house.services, store=store, lock=lock)
    folder = house.take(talk_ms=300)
    house.work(folder)
    house.clock.forward(minutes=1)
    row = queries.recording(house.tenant, folder.name)
    client, where = connect(bucket), {"Bucket": bucket.name}
    for each in row.objects:
        locked = client.get_object_retention(**where, Key=row.prefix + each.name)["Retention"]
        assert locked["Mode"] == "GOVERNANCE"
        assert locked["RetainUntilDate"] <= row.keep_until
        lock(row.prefix + each.name, row.keep_until)  # a restarted worker repeats it
        with pytest.raises(StoreError):
            store.delete(row.prefix + each.name)
        assert store.size(row.prefix + each.name) > 0

    services = house.services
    changes = Changes(store, services.root, services.signer, house.clock, house.entropy)
    amend(changes.delete, house.tenant, row.id, By("operator"), reason="asked for")
    means = replace(services, store=store)
    assert expiry.destroy_due(means, house.clock()) == 0, "without the right to bypass"
    eraser = S3Store(bucket, house.entropy, bypass=True)
    house.clock.forward(minutes=10)
    assert expiry.destroy_due(replace(means, lock_eraser=eraser), house.clock()) == 1
    left = client.list_object_versions(**where, Prefix=row.prefix)
    names = {each["Key"].removeprefix(row.prefix) for each in left["Versions"]}
    assert names == {"manifest.json", "amendment-0001.json", "amendment-0002.json"}
    assert queries.recording(house.tenant, row.id).erasure_reason == "deleted"


def test_refuses_a_bucket_without_object_lock(seaweedfs) -> None:
    bucket = replace(seaweedfs.bucket(), name="unlocked")
    connect(bucket).create_bucket(Bucket="unlocked")
    with expect_error(ConfigError, "store.no_lock"):
        GovernanceLock(bucket).check()
