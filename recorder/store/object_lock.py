"""Locks stored objects if the bucket can (S3 Object Lock, governance): until a given time nobody deletes them
or shortens the lock without permission to bypass it, which only the erasing worker has.

A lock never outlasts the announced time, since what has expired must be deleted. Amendments and manifests are
not deleted and need no lock.
"""

from __future__ import annotations

from datetime import datetime

from recorder.errors import ConfigError
from recorder.store.object_keys import check_key
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket, connect
from recorder.store.s3_errors import translate_errors


class GovernanceLock:
    """Locks objects of one bucket. Safe to share among threads."""

    def __init__(self, bucket: Bucket) -> None:
        self._client = connect(bucket)
        self._bucket = bucket
        self._where = f"{bucket.endpoint or 'AWS'} bucket {bucket.name}"

    def check(self) -> None:
        """Raises :class:`ConfigError` (``store.no_lock``) if the bucket cannot lock, and
        :class:`recorder.errors.StoreError`."""
        if not S3Store(self._bucket).locks():
            raise ConfigError(
                "store.no_lock",
                f"{self._where} has no object lock",
                'make the bucket with object lock, or set lock = "off" in [store]',
            )

    def __call__(self, key: str, until: datetime) -> None:
        """Lock an object until a time, rounded down to a second. Can be repeated. Raises
        :class:`recorder.errors.StoreError`."""
        check_key(key)
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until.replace(microsecond=0)}
        with translate_errors(self._where, key):
            self._client.put_object_retention(
                Bucket=self._bucket.name,
                Key=key,
                Retention=retention,  # type: ignore[arg-type]  # two words of a closed set
            )
