"""A sealed recording in a real bucket: stored in order, verified from there, and altered behind our back."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from recorder.seal.keyring import tenant_key_path
from recorder.seal.sealing import SealedTake
from recorder.seal.verification import verify
from recorder.store.s3 import S3Store
from recorder.store.s3_client import connect
from recorder.store.seaweedfs import SeaweedFS
from tests.unit.seal.recording import NOW, TENANT, Keys, make_keys, make_sealed


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path / "keys")


@pytest.fixture
def sealed(tmp_path: Path, keys: Keys, bucket_store: S3Store) -> SealedTake:
    """A recording that is alone in its bucket."""
    sealed_take = make_sealed(tmp_path / "take", keys)
    tenant_key = tmp_path / "tenant.json"
    tenant_key.write_bytes(keys.tenant_key.to_bytes())
    for key in (tenant_key_path(TENANT), *(upload.key for upload in sealed_take.uploads)):
        bucket_store.delete(key)
    digest = sha256(tenant_key.read_bytes()).hexdigest()
    bucket_store.put(tenant_key_path(TENANT), tenant_key, digest)
    for upload in sealed_take.uploads:
        bucket_store.put(upload.key, upload.path, upload.sha256)
    return sealed_take


def test_verifies_a_recording_from_the_bucket_alone(
    sealed: SealedTake, keys: Keys, bucket_store: S3Store
) -> None:
    report = verify(bucket_store, sealed.prefix, keys.root.public_key(), keys.keyring, NOW)
    assert report.findings == []
    assert report.checked == list(range(1, 13))


def test_detects_overwritten_objects(
    sealed: SealedTake, keys: Keys, bucket_store: S3Store, seaweedfs: SeaweedFS
) -> None:
    client = connect(seaweedfs.bucket())
    for upload in sealed.uploads:
        content = upload.path.read_bytes()
        changed = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        client.put_object(Bucket="accord", Key=upload.key, Body=changed)
        report = verify(bucket_store, sealed.prefix, keys.root.public_key(), keys.keyring, NOW)
        assert [finding.where for finding in report.findings] == [upload.key]
        client.put_object(Bucket="accord", Key=upload.key, Body=content)
        assert verify(bucket_store, sealed.prefix, keys.root.public_key(), keys.keyring, NOW).ok


def test_detects_removed_objects(sealed: SealedTake, keys: Keys, bucket_store: S3Store) -> None:
    for upload in reversed(sealed.uploads):
        bucket_store.delete(upload.key)
        report = verify(bucket_store, sealed.prefix, keys.root.public_key(), keys.keyring, NOW)
        assert upload.key in [finding.where for finding in report.findings]
        bucket_store.put(upload.key, upload.path, upload.sha256)
