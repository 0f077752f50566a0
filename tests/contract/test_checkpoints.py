"""Checkpoints in a real SeaweedFS with object lock: nobody can delete them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from recorder.audit.service import Audit
from recorder.auditlog import checkpoint
from recorder.clock import utc_now
from recorder.errors import StoreError
from recorder.store.contract import Conflict
from recorder.store.s3 import S3Store
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import Bakery
from tests.stored_recordings import put_small


@pytest.fixture
def entropy() -> RepeatableEntropy:
    return RepeatableEntropy(uuid4().hex)


@pytest.fixture
def clock() -> Clock:
    return Clock(utc_now())


@pytest.mark.long
@pytest.mark.parametrize("lesser", [False, True], ids=["as it is", "without the headers of a put"])
def test_checkpoint_is_locked(
    house: Bakery, bucket_store: S3Store, lesser_store: S3Store, lesser: bool
) -> None:
    store = lesser_store if lesser else bucket_store
    house.services = replace(house.services, store=store)
    put_small(house)
    means = replace(house.services, store=store, checkpoints_seen={})
    assert bucket_store.abilities().object_lock
    assert checkpoint.sign_due(means, house.clock.forward(hours=1)) == 1
    place = checkpoint.place_of(house.tenant, 1)
    before = store.read(place)
    with pytest.raises(StoreError):
        store.delete(place)
    (version,) = store._versions(place)
    client, which = store._client, {"Bucket": store._bucket, "Key": place, "VersionId": version}
    retention = client.get_object_retention(**which)["Retention"]
    assert retention["Mode"] == "COMPLIANCE"
    assert (
        abs(retention["RetainUntilDate"] - house.clock() - house.services.checkpoint_lock).total_seconds() < 2
    )
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": house.clock() + timedelta(days=1)}
    with pytest.raises(ClientError):
        client.put_object_retention(**which, Retention=sooner)
    with pytest.raises(ClientError):
        client.delete_object(**which, BypassGovernanceRetention=True)
    file = house.folder / "other"
    file.write_bytes(b"other")
    with pytest.raises(Conflict):
        store.put(place, file, "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa")
    assert store.read(place) == before
    audit = Audit(store, house.services.root, house.clock(), house.services.keyring)
    # Another test uses the bucket, too, with its own root.
    assert [each for each in audit.tenant(house.tenant) if each.code != "endorsement.form"] == []
