"""Offboarding from a bucket with object lock: sounds in GOVERNANCE, which only the erasing worker's
credentials bypass, checkpoints in COMPLIANCE, which none do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from recorder.audit.service import Audit
from recorder.auditlog import checkpoint
from recorder.catalogue import queries
from recorder.clock import utc_now
from recorder.errors import StoreError
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import queries as offboarding_queries
from recorder.features.offboarding import service
from recorder.seal.keyring import data_key_path
from recorder.store.object_lock import GovernanceLock
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket, connect
from recorder.store.seaweedfs import SeaweedFS
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import Bakery

from .conftest import as_other

ORDINARY = ("Read", "Write", "List", "Tagging")
LOCKS = ("GetBucketObjectLockConfiguration", "GetObjectRetention", "PutObjectRetention")
"""The rights that credentials need by ``docs/operate/storage.md``."""

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class LockingBucket:
    """A bucket, and the credentials for it."""

    worker: Bucket
    eraser: Bucket

    def retention(self, key: str) -> dict:
        where = {"Bucket": self.worker.name, "Key": key}
        return connect(self.worker).get_object_retention(**where)["Retention"]


@pytest.fixture(scope="module")
def locked(start_seaweedfs: Callable[..., SeaweedFS]) -> LockingBucket:
    may = {"worker": (*ORDINARY, *LOCKS), "eraser": (*ORDINARY, "BypassGovernanceRetention")}
    bucket = start_seaweedfs(may).bucket()
    return LockingBucket(as_other(bucket, "worker"), as_other(bucket, "eraser"))


@pytest.fixture
def entropy() -> RepeatableEntropy:
    return RepeatableEntropy(uuid4().hex)


@pytest.fixture
def clock() -> Clock:
    """The server's clock: locks must end in the future."""
    return Clock(utc_now().replace(microsecond=0) - timedelta(hours=3))


def test_only_the_erasing_worker_bypasses_the_lock(house: Bakery, locked: LockingBucket) -> None:
    store, lock = S3Store(locked.worker, house.entropy), GovernanceLock(locked.worker)
    lock.check()
    house.services = replace(house.services, store=store, lock=lock)
    folders = [house.take(talk_ms=300) for _ in range(2)]
    for folder in folders:
        house.work(folder)
    means, root = house.services, house.services.root
    rows = [queries.recording(house.tenant, folder.name) for folder in folders]
    sounds = [row.prefix + each.name for row in rows for each in row.objects]
    assert len(sounds) == 6
    for key in sounds:
        retention = locked.retention(key)
        assert retention["Mode"] == "GOVERNANCE"
        assert retention["RetainUntilDate"] > utc_now() + timedelta(days=29)
    signing = replace(means, store=store, checkpoints_seen={})
    assert checkpoint.sign_due(signing, house.clock.forward(hours=1)) == 1

    office = house.office()
    service.announce(office, house.tenant, house.clock() + timedelta(days=9))
    service.order_erasure(office, house.tenant, early="By letter")
    ordinary = S3Store(locked.worker, house.entropy, bypass=True)
    services = replace(means, store=store, lock_eraser=ordinary)
    assert offboarding_duty.erase_due(services, house.clock()) == 0, "a bypass request needs the right to it"
    assert [len(store._versions(key)) for key in sounds] == [1] * len(sounds)
    assert [len(store._versions(data_key_path(house.tenant, row.id))) for row in rows] == [0, 0]
    assert offboarding_queries.require_departure(house.tenant).receipt is None

    eraser = S3Store(locked.eraser, house.entropy, bypass=True)
    whole = replace(services, lock_eraser=eraser)
    house.clock.forward(minutes=10)
    assert offboarding_duty.erase_due(whole, house.clock()) == 1
    client = connect(locked.worker)
    left = client.list_object_versions(Bucket=locked.worker.name)
    assert not left.get("DeleteMarkers"), "deleted, not only marked as deleted"
    names = [each["Key"] for each in left["Versions"] if each["Key"].rpartition("/")[2] != "manifest.json"]
    others = [key for key in names if "amendment-" not in key and not key.startswith("checkpoints/")]
    signed = [
        f"offboarding/{house.tenant}/{name}.json" for name in ("receipt", "statement-0001", "statement-0002")
    ]
    assert others == signed, "no sound, and no key"

    checkpoints = [checkpoint.place_of(house.tenant, number) for number in (1, 2)]
    body = offboarding_duty.read(store.read(offboarding_duty.place_of(house.tenant)), root).body
    assert body.log.checkpoint == 2
    for key in checkpoints:
        assert locked.retention(key)["Mode"] == "COMPLIANCE"
        with pytest.raises(StoreError):
            eraser.delete(key)
        (version,) = store._versions(key)
        which = {"Bucket": locked.eraser.name, "Key": key, "VersionId": version}
        with pytest.raises(ClientError, match="AccessDenied"):
            connect(locked.eraser).delete_object(**which, BypassGovernanceRetention=True)
        assert store.read(key)
    audit = Audit(store, root, house.clock(), means.keyring)
    assert [f"{each.code} {each.message}" for each in audit.tenant(house.tenant)] == []
