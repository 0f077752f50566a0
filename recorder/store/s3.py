"""A bucket on anything that speaks S3: SeaweedFS, Ceph, AWS.

The server's abilities are tried, not assumed (:meth:`S3Store.abilities`). Nothing is retried here; see
``retry.py``. Works with and without gevent's patches.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from recorder.errors import StoreError
from recorder.ids import Entropy
from recorder.store import s3_errors
from recorder.store.contract import Abilities, Conflict, NotFound, Unreachable
from recorder.store.object_keys import check_key, check_prefix
from recorder.store.s3_client import Bucket, connect

log = structlog.get_logger()

LARGEST = 5 * 1024**3
"""The largest PUT in bytes (Amazon S3's limit): 43 hours of 8 kHz stereo WAV."""

_PIECE = 8 * 1024 * 1024
_EXISTS = "store.exists"


class S3Store:
    """The contract of ``contract.py`` over one bucket. ``bypass``: deletes locked objects, too
    (``object_lock.py``), if the credentials permit; for the erasing worker."""

    def __init__(self, bucket: Bucket, entropy: Entropy = os.urandom, *, bypass: bool = False) -> None:
        self._bypass: dict[str, Any] = {"BypassGovernanceRetention": True} if bypass else {}
        self._client = connect(bucket)
        self._hash_in_header = connect(bucket, sign_payload=False)
        self._bucket = bucket.name
        self._seconds = bucket.read_timeout
        for client in (self._client, self._hash_in_header):
            client.meta.events.register("after-call.s3", s3_errors.refuse_failure)
        self._where = f"{bucket.endpoint or 'AWS'} bucket {bucket.name}"
        self._entropy = entropy
        self._abilities: Abilities | None = None
        self._probe_lock = threading.Lock()

    def put(self, key: str, path: Path, sha256: str, *, locked_until: datetime | None = None) -> None:
        check_key(key)
        able = self.abilities()
        if not able.put_if_absent and self._compare(key, sha256, missing_ok=True):
            return
        more: dict[str, Any] = {"IfNoneMatch": "*"} if able.put_if_absent else {}
        if locked_until is not None and able.object_lock:
            more |= _lock(locked_until, None if able.checks_sha256 else path)
        try:
            self._send(key, path, sha256, more)
        except s3_errors.Exists:
            self._compare(key, sha256)

    def replace(self, key: str, path: Path, sha256: str) -> None:
        check_key(key)
        mine = self._send(key, path, sha256, {})
        if mine is None:
            return
        found = self._versions(key)
        # If another version was put after it, that put removes this one, too.
        for version in found[1:] if found[:1] == (mine,) else ():
            with self._errors(key):
                self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version, **self._bypass)

    def _send(self, key: str, path: Path, sha256: str, more: Mapping[str, Any]) -> str | None:
        """Put a file, whole or not at all; returns its version, if there are versions."""
        size = path.stat().st_size
        if size > LARGEST:
            raise StoreError(
                "store.too_large",
                f"{path} has {size} bytes; one object has at most {LARGEST}",
                "move the take to quarantine, and split the recording or encode it as Opus",
            )
        able = self.abilities()
        # Only what the server was seen to support: an unknown header may make it refuse the put.
        known, client = dict(more), self._client
        if able.checks_sha256:
            client = self._hash_in_header
            known["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        with open(path, "rb") as body, self._errors(key):
            answer = client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentLength=size, **known)
        version = answer.get("VersionId")
        if not able.checks_sha256:
            self._check_arrived(key, sha256, version)
        return version

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        check_key(key)
        if start < 0:
            raise ValueError("a range begins at 0 or later")
        if end is not None and end <= start:
            self.size(key)
            return b""
        range_option: dict[str, Any] = {}
        if start > 0 or end is not None:
            range_option["Range"] = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
        try:
            with self._errors(key):
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **range_option)
                part = answer["ResponseMetadata"]["HTTPStatusCode"] == 206
                if part and (
                    not range_option
                    or not answer.get("ContentRange", f"bytes {start}-").startswith(f"bytes {start}-")
                ):
                    raise s3_errors.bad_answer(self._where, key, "not the part that was requested")
                most = end - start if part and end is not None else None
                content = s3_errors.read_body(answer, most, self._seconds)
        except s3_errors.PastTheEnd:
            if not range_option:
                raise
            return b""
        # A server without ranges sends everything.
        return content if part else content[start:end]

    def size(self, key: str) -> int:
        check_key(key)
        with self._errors(key):
            return _length(self._client.head_object(Bucket=self._bucket, Key=key))

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        token: dict[str, Any] = {"StartAfter": after} if after else {}
        while True:
            with self._errors(prefix):
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **token)
                keys = [entry["Key"] for entry in page.get("Contents", ())]
                if not all(key.startswith(prefix) for key in keys):
                    raise s3_errors.bad_answer(self._where, prefix, "it lists keys with another prefix")
                more = _next(page, token, ContinuationToken="NextContinuationToken")
            # A server that ignores the start key returns earlier keys as well.
            yield from (key for key in keys if key > after)
            if more is None:
                return
            token = more

    def delete(self, key: str) -> None:
        check_key(key)
        for version in self._versions(key):
            with self._errors(key):
                self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version, **self._bypass)
        if not self._versioned():
            with self._errors(key):
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def abilities(self) -> Abilities:
        """Found once, by trying, on the first request for them."""
        with self._probe_lock:
            if self._abilities is None:
                self._abilities = self._probe()
                log.info(
                    "store.probed", where=self._where, **{n: getattr(self._abilities, n) for n in _NAMES}
                )
            return self._abilities

    def _compare(self, key: str, sha256: str, missing_ok: bool = False) -> bool:
        """Check that the stored object is this one. Raises :class:`Conflict` if it is not."""
        try:
            found = self._hash(key)
        except NotFound:
            if missing_ok:
                return False
            raise
        if found != sha256:
            raise Conflict(
                "store.conflict",
                f"{key} is already stored with other bytes (SHA-256 {found}, not {sha256})",
                "it was left as it is; find out who wrote it",
            )
        return True

    def _hash(self, key: str) -> str:
        """The SHA-256 that the server keeps of an object, or that of its bytes if it keeps none."""
        with self._errors(key):
            head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            length, checksum = _length(head), head.get("ChecksumSHA256", "")
            if self.abilities().checks_sha256 and checksum and "-" not in checksum:
                return base64.b64decode(checksum, validate=True).hex()
        total = hashlib.sha256()
        for start in range(0, length, _PIECE):
            total.update(self.read(key, start, start + _PIECE))
        return total.hexdigest()

    def _check_arrived(self, key: str, sha256: str, version: str | None) -> None:
        """For a server that does not compare the hash: read the object back."""
        if self._hash(key) == sha256:
            return
        which: dict[str, Any] = {"VersionId": version} if version else {}
        with self._errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=key, **which)
        raise s3_errors.hash_mismatch(key)

    def _versions(self, key: str) -> tuple[str, ...]:
        """Every version and deletion marker of an object, the latest first."""
        more: dict[str, Any] = {}
        every: tuple[tuple[bool, str], ...] = ()
        while True:
            with self._errors(key):
                page = self._client.list_object_versions(Bucket=self._bucket, Prefix=key, **more)
                entries = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                every += tuple(
                    (bool(entry.get("IsLatest")), entry["VersionId"])
                    for entry in entries
                    if entry["Key"] == key
                )
                further = _next(page, more, KeyMarker="NextKeyMarker", VersionIdMarker="NextVersionIdMarker")
            if further is None:
                return tuple(version for _, version in sorted(every, key=lambda each: not each[0]))
            more = further

    def _versioned(self) -> bool:
        with self._errors("versioning"):
            return "Status" in self._client.get_bucket_versioning(Bucket=self._bucket)

    def _probe(self) -> Abilities:
        # First, because SeaweedFS creates a missing bucket at a put, without versions and without locks.
        versioned = self._versioned()
        key = f"probe/{self._entropy(8).hex()}"
        try:
            self._put_small(key, b"1")
            return Abilities(
                put_if_absent=self._refusal(key, b"2", IfNoneMatch="*") == _EXISTS,
                checks_sha256=self._refusal(
                    key, b"3", ChecksumSHA256=base64.b64encode(hashlib.sha256(b"4").digest()).decode()
                )
                == s3_errors.MISMATCH,
                versioning=versioned and self._keeps_versions(key),
                object_lock=self.locks(),
            )
        finally:
            self.delete(key)

    def _put_small(self, key: str, body: bytes, **more: Any) -> None:
        # Sent as a recording is: a server that requires signed bodies without HTTPS refuses it.
        client = self._hash_in_header if "ChecksumSHA256" in more else self._client
        with self._errors(key):
            client.put_object(Bucket=self._bucket, Key=key, Body=body, **more)

    def _refusal(self, key: str, body: bytes, **more: Any) -> str | None:
        """Why the server refuses a put that it must refuse; ``None`` if it accepts it. A server that does not
        know a header ignores it or rejects it with an error of its own: neither counts as the ability."""
        try:
            self._put_small(key, body, **more)
        except Unreachable:
            raise
        except s3_errors.Exists:
            return _EXISTS
        except StoreError as error:
            return error.error_id
        return None

    def _keeps_versions(self, key: str) -> bool:
        self._put_small(key, b"5")
        return len(self._versions(key)) > 1

    def locks(self) -> bool:
        """Whether the bucket was created with object lock. Raises :class:`Unreachable`, and
        :class:`StoreError` (``store.no_bucket``)."""
        try:
            with self._errors("object lock"):
                answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
                return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
        except Unreachable:
            raise
        except StoreError as error:
            if error.error_id == "store.no_bucket":
                raise
            return False

    def _errors(self, key: str) -> AbstractContextManager[None]:
        return s3_errors.translate_errors(self._where, key)


def _lock(until: datetime, path: Path | None) -> dict[str, Any]:
    """The headers of a locked put. S3 requires a checksum with it: MD5 of ``path``, unless SHA-256 is
    sent."""
    lock: dict[str, Any] = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    if path is not None:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
        lock["ContentMD5"] = base64.b64encode(digest).decode()
    return lock


_NAMES = ("put_if_absent", "checks_sha256", "versioning", "object_lock")


def _length(head: Mapping[str, Any]) -> int:
    """The object's length by a HEAD. Raises ``KeyError``, ``ValueError``."""
    length: int = head["ContentLength"]
    if length < 0:
        raise ValueError(f"a length of {length} bytes")
    return length


def _next(page: Mapping[str, Any], before: Mapping[str, Any], **names: str) -> dict[str, Any] | None:
    """How to ask for the next page, ``None`` after the last. Raises ``KeyError``, and ``ValueError`` for a
    page that would repeat for ever."""
    if not page.get("IsTruncated"):
        return None
    further = {request: page[answer] for request, answer in names.items()}
    if further == before:
        raise ValueError("a list whose next page is the same page")
    return further
