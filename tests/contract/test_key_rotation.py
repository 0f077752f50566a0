"""Key rotation in a versioned bucket: sounds keep ETag and version, and no old wrapped key is left."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from recorder.catalogue import queries
from recorder.lifecycle.key_rotation import KeyRotation, rotation_status
from recorder.seal import kek_files
from recorder.seal.keyring import load_kek
from recorder.seal.verification import verify
from recorder.store.s3 import S3Store
from recorder.store.s3_client import connect
from tests.entropy import RepeatableEntropy
from tests.stored_recordings import put_small


@pytest.fixture
def entropy() -> RepeatableEntropy:
    """The tests share a bucket, so each has its own recordings."""
    return RepeatableEntropy(uuid4().hex)


def listed(seaweedfs, prefix: str) -> set[tuple[str, str, str]]:
    """Key, version and ETag of every version of every object."""
    bucket = seaweedfs.bucket()
    client = connect(bucket)
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    page = client.list_object_versions(Bucket=bucket.name, Prefix=prefix)
    assert not page.get("DeleteMarkers")
    return {(each["Key"], each["VersionId"], each["ETag"]) for each in page.get("Versions", ())}


@pytest.mark.long
def test_rotation_keeps_etags_and_versions(house, seaweedfs, bucket_store: S3Store) -> None:
    house.services = replace(house.services, store=bucket_store)
    listed(seaweedfs, "nothing")
    recordings = [put_small(house) for _ in range(2)]
    sounds, keys = listed(seaweedfs, f"{house.tenant}/"), listed(seaweedfs, f"keys/{house.tenant}/")
    assert len(sounds) >= 2 * len(recordings)
    folder = house.folder / "keys"
    kek_files.make_next(folder)
    ring = kek_files.rotation_keyring(folder)
    rotation = KeyRotation(bucket_store, ring, house.clock, house.entropy, "me")
    rotation.begin(house.tenant)
    assert rotation.all() == (len(recordings), 0)
    assert rotation.all() == (0, 0), "nothing is left to do"
    assert listed(seaweedfs, f"{house.tenant}/") == sounds, "no sound was changed"
    after = listed(seaweedfs, f"keys/{house.tenant}/")
    assert not {each[1] for each in after} & {each[1] for each in keys}, "each wrapped key has a new version"
    assert len(after) == len({each[0] for each in after}), "the old version is deleted"
    kek_files.promote(folder, lambda _boundary: None)
    fresh = kek_files.Keyring(load_kek(folder / "kek"))
    for recording in recordings:
        row = queries.recording(house.tenant, recording)
        assert verify(bucket_store, row.prefix, house.services.root, fresh).findings == []
    assert (rotation_status(bucket_store).rows, rotation_status(bucket_store).objects) == (0, 0)
