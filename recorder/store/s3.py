"""A bucket on anything that speaks S3: SeaweedFS, Ceph, AWS.

What the server can do is tried, not assumed (:meth:`S3Store.abilities`).  Nothing is retried here; that
is ``retry.py``.  Works with and without gevent's patches.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import structlog
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from recorder.errors import StoreError
from recorder.ids import Entropy
from recorder.store.base import Abilities, Conflict, NotFound, Unreachable
from recorder.store.bucket import Bucket, connect
from recorder.store.keys import check_key, check_prefix

log = structlog.get_logger()

LARGEST = 5 * 1024**3
"""Bytes that one PUT may have (Amazon S3's limit): 43 hours of 8 kHz stereo WAV."""

_PIECE = 8 * 1024 * 1024
_AWAY = frozenset(
    {
        "ConditionalRequestConflict",  # 409: another put of this key is going on
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_HASH = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
_NOT_IMPLEMENTED = 501
_EXISTS = "store.exists"
_MISMATCH = "store.hash_mismatch"
_DENIED = frozenset({"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})


class S3Store:
    """The contract of ``base.py`` over one bucket."""

    def __init__(self, bucket: Bucket, entropy: Entropy = os.urandom) -> None:
        self._client = connect(bucket)
        self._hash_in_header = connect(bucket, sign_payload=False)
        self._bucket = bucket.name
        self._where = f"{bucket.endpoint or 'AWS'} bucket {bucket.name}"
        self._entropy = entropy
        self._abilities: Abilities | None = None
        self._probing = threading.Lock()

    def put(self, key: str, path: Path, sha256: str) -> None:
        check_key(key)
        size = path.stat().st_size
        if size > LARGEST:
            raise StoreError("store.too_large", f"{path} has {size} bytes; one object has at most {LARGEST}")
        able = self.abilities()
        if not able.put_if_absent and self._compare(key, sha256, missing_ok=True):
            return
        # Only what the server was seen to do: one that does not know a header may refuse the whole put.
        known: dict[str, Any] = {}
        client = self._client
        if able.put_if_absent:
            known["IfNoneMatch"] = "*"
        if able.checks_sha256:
            client = self._hash_in_header
            known["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        try:
            with open(path, "rb") as body, self._errors(key):
                answer = client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentLength=size,
                    **known,
                )
        except _Exists:
            self._compare(key, sha256)
            return
        if not able.checks_sha256:
            self._check_arrived(key, sha256, answer.get("VersionId"))

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        check_key(key)
        if start < 0:
            raise ValueError("a range begins at 0 or later")
        if end is not None and end <= start:
            self.size(key)
            return b""
        wanted: dict[str, Any] = {}
        if start > 0 or end is not None:
            wanted["Range"] = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
        try:
            with self._errors(key):
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **wanted)
                # Not as its own context manager: that would hand out urllib3's stream and its errors.
                with closing(answer["Body"]) as body:
                    content: bytes = body.read()
        except _PastTheEnd:
            return b""
        # A server that does not know ranges sends everything.
        if wanted and answer["ResponseMetadata"]["HTTPStatusCode"] == 200:
            return content[start:end]
        return content

    def size(self, key: str) -> int:
        check_key(key)
        with self._errors(key):
            return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        token: dict[str, Any] = {"StartAfter": after} if after else {}
        while True:
            with self._errors(prefix):
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **token)
            # A server that does not know where to start gives what comes before as well.
            yield from (entry["Key"] for entry in page.get("Contents", ()) if entry["Key"] > after)
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        check_key(key)
        for version in list(self._versions(key)):
            with self._errors(key):
                self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version)
        if not self._versioned():
            with self._errors(key):
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def abilities(self) -> Abilities:
        """Found once, by trying, when it is first asked for."""
        with self._probing:
            if self._abilities is None:
                self._abilities = self._probe()
                log.info(
                    "store.probed", where=self._where, **{n: getattr(self._abilities, n) for n in _NAMES}
                )
            return self._abilities

    def _compare(self, key: str, sha256: str, missing_ok: bool = False) -> bool:
        """Whether the stored object is this one.  Raises :class:`Conflict` where it is another."""
        try:
            found = self._hash(key)
        except NotFound:
            if missing_ok:
                return False
            raise
        if found != sha256:
            raise Conflict(
                "store.conflict",
                f"{key} is stored already with other bytes (SHA-256 {found}, not {sha256})",
                "it was not touched; find out who wrote it",
            )
        return True

    def _hash(self, key: str) -> str:
        """The SHA-256 that the server keeps of an object, or that of its bytes where it keeps none."""
        with self._errors(key):
            head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        kept = head.get("ChecksumSHA256", "")
        if self.abilities().checks_sha256 and kept and "-" not in kept:
            return base64.b64decode(kept).hex()
        total = hashlib.sha256()
        for start in range(0, head["ContentLength"], _PIECE):
            total.update(self.read(key, start, start + _PIECE))
        return total.hexdigest()

    def _check_arrived(self, key: str, sha256: str, version: str | None) -> None:
        """For a server that does not compare the hash: read it back."""
        if self._hash(key) == sha256:
            return
        which: dict[str, Any] = {"VersionId": version} if version else {}
        with self._errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=key, **which)
        raise _hash_mismatch(key)

    def _versions(self, key: str) -> Iterator[str]:
        more: dict[str, Any] = {}
        while True:
            with self._errors(key):
                page = self._client.list_object_versions(Bucket=self._bucket, Prefix=key, **more)
            for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                if entry["Key"] == key:
                    yield entry["VersionId"]
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _versioned(self) -> bool:
        with self._errors("versioning"):
            return "Status" in self._client.get_bucket_versioning(Bucket=self._bucket)

    def _probe(self) -> Abilities:
        key = f"probe/{self._entropy(8).hex()}"
        try:
            self._put_small(key, b"1")
            return Abilities(
                put_if_absent=self._refusal(key, b"2", IfNoneMatch="*") == _EXISTS,
                checks_sha256=self._refusal(
                    key, b"3", ChecksumSHA256=base64.b64encode(hashlib.sha256(b"4").digest()).decode()
                )
                == _MISMATCH,
                versioning=self._versioned() and self._keeps_versions(key),
                object_lock=self._locks(),
            )
        finally:
            self.delete(key)

    def _put_small(self, key: str, body: bytes, **more: Any) -> None:
        # As a put of a recording is sent: a server that wants bodies signed without HTTPS refuses it.
        client = self._hash_in_header if "ChecksumSHA256" in more else self._client
        with self._errors(key):
            client.put_object(Bucket=self._bucket, Key=key, Body=body, **more)

    def _refusal(self, key: str, body: bytes, **more: Any) -> str | None:
        """Why a put is refused that must be; ``None`` where it is not.  A server that does not know a
        header ignores it, or refuses it with words of its own: that is no ability either."""
        try:
            self._put_small(key, body, **more)
        except Unreachable:
            raise
        except _Exists:
            return _EXISTS
        except StoreError as error:
            return error.error_id
        return None

    def _keeps_versions(self, key: str) -> bool:
        self._put_small(key, b"5")
        return len(list(self._versions(key))) > 1

    def _locks(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError:
            return False
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """boto3's errors as ours."""
        try:
            yield
        except ClientError as error:
            raise self._answered(key, error) from error
        except (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError) as error:
            raise Unreachable(
                "store.unreachable", f"{self._where} is away: {error}", "nothing is lost: the spool keeps it"
            ) from error
        except BotoCoreError as error:
            raise StoreError(
                "store.failed", f"{self._where}: {error}", "check the [store] settings"
            ) from error

    def _answered(self, key: str, error: ClientError) -> StoreError | _Exists | _PastTheEnd:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status == 412:
            return _Exists(key)
        if status == 416:
            return _PastTheEnd(key)
        if status == _NOT_IMPLEMENTED:
            return StoreError(
                "store.not_implemented",
                f"{self._where} does not know what was asked for {key}: {code}",
                "`accord doctor` shows what this server can do",
            )
        if status >= 500 or status == 429 or code in _AWAY:
            return Unreachable("store.busy", f"{self._where} answers {status} {code}", "it is tried again")
        if code == "NoSuchBucket":
            return StoreError("store.no_bucket", f"there is no {self._where}", "make it, or correct its name")
        if code in _MISSING:
            return NotFound("store.not_found", f"there is no object {key} in {self._where}")
        if code in _HASH:
            return _hash_mismatch(key)
        if code in _DENIED:
            return StoreError(
                "store.denied",
                f"{self._where} refused {key}: {code}",
                "check the access key and its rights; a locked object cannot be deleted before its date",
            )
        return StoreError("store.failed", f"{self._where} refused {key}: {status} {error}")


class _Exists(Exception):
    """412: the condition ``If-None-Match`` was not met."""


class _PastTheEnd(Exception):
    """416: the range begins after the last byte."""


_NAMES = ("put_if_absent", "checks_sha256", "versioning", "object_lock")


def _hash_mismatch(key: str) -> StoreError:
    return StoreError(
        _MISMATCH,
        f"what arrived as {key} does not have the hash that was sent; it was not kept",
        "the file was changed, or the network or a disk is broken",
    )
