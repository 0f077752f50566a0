"""A locked checkpoint (COMPLIANCE), and the embedded store's own credentials: no request deletes the locked
version, shortens the lock or moves the object."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from recorder.store.s3_client import Bucket, connect
from recorder.store.seaweedfs import SeaweedFS

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

BODY = b"held" * 1000


@dataclass(frozen=True)
class LockedObject:
    """A locked object in a separate bucket."""

    client: S3Client
    bucket_settings: Bucket
    bucket: str
    key: str
    version: str
    until: datetime

    @property
    def which(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key, "VersionId": self.version}

    def send(self, method: str, path: str, query: str, body: bytes = b"", **headers: str) -> int:
        """Send a signed request that boto3 does not offer."""
        url = f"{self.bucket_settings.endpoint}/{self.bucket}{path}?{query}"
        header_fields = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method, url, data=body, headers=header_fields)
        keys = Credentials(self.bucket_settings.access_key, self.bucket_settings.secret_key)
        S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request(method, f"/{self.bucket}{path}?{query}", body, dict(request.headers))
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture(scope="module")
def bucket(seaweedfs: SeaweedFS) -> str:
    """A separate server, since these attempts could affect other tests."""
    name = f"locked-{uuid4()}"
    connect(seaweedfs.bucket()).create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def locked(seaweedfs: SeaweedFS, bucket: str) -> LockedObject:
    client, key = connect(seaweedfs.bucket()), f"checkpoints/{uuid4()}/1"
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    put = client.put_object(
        Bucket=bucket,
        Key=key,
        Body=BODY,
        ChecksumAlgorithm="SHA256",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )
    return LockedObject(client, seaweedfs.bucket(), bucket, key, put["VersionId"], until)


def retention(locked: LockedObject, mode: str | None, minutes: int = 1) -> None:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    retention_fields = {"Mode": mode, "RetainUntilDate": until} if mode else {}
    locked.client.put_object_retention(
        **locked.which, Retention=retention_fields, BypassGovernanceRetention=True
    )  # type: ignore[arg-type]


REFUSED: dict[str, Callable[[LockedObject], object]] = {
    "its version is deleted": lambda it: it.client.delete_object(**it.which),  # type: ignore[arg-type]
    "with the bypass of governance": lambda it: it.client.delete_object(
        **it.which,  # type: ignore[arg-type]
        BypassGovernanceRetention=True,
    ),
    "a shorter time": lambda it: retention(it, "COMPLIANCE"),
    "a lesser lock": lambda it: retention(it, "GOVERNANCE", minutes=3000),
    "no time": lambda it: retention(it, None),
    "versions no longer kept": lambda it: it.client.put_bucket_versioning(
        Bucket=it.bucket, VersioningConfiguration={"Status": "Suspended"}
    ),
    "locks no longer kept": lambda it: it.client.put_object_lock_configuration(
        Bucket=it.bucket, ObjectLockConfiguration={}
    ),
    "the bucket is deleted": lambda it: it.client.delete_bucket(Bucket=it.bucket),
    "another upload's parts are thrown away": lambda it: it.client.abort_multipart_upload(
        Bucket=it.bucket, Key=it.key, UploadId="../checkpoints"
    ),
}

WITHOUT_EFFECT: dict[str, Callable[[LockedObject], object]] = {
    "a mark that it is deleted": lambda it: it.client.delete_object(Bucket=it.bucket, Key=it.key),
    "deleted among others": lambda it: it.client.delete_objects(
        Bucket=it.bucket,
        Delete={"Objects": [{"Key": it.key, "VersionId": it.version}]},
        BypassGovernanceRetention=True,
    ),
    "something put over it": lambda it: it.client.put_object(Bucket=it.bucket, Key=it.key, Body=b"x"),
    "something that ends by itself": lambda it: it.send("PUT", f"/{it.key}", "", b"x", Seaweed_Ttl="1m"),
    "a copy over itself": lambda it: it.client.copy_object(
        Bucket=it.bucket,
        Key=it.key,
        CopySource={"Bucket": it.bucket, "Key": it.key},
        MetadataDirective="REPLACE",
    ),
    "no legal hold": lambda it: it.client.put_object_legal_hold(**it.which, LegalHold={"Status": "OFF"}),  # type: ignore[arg-type]
    "renamed": lambda it: it.send(
        "PUT", "/moved", "renameObject=", x_amz_rename_source=f"/{it.bucket}/{it.key}"
    ),
    "its folder renamed": lambda it: it.send(
        "PUT", "/moved", "renameObject=", x_amz_rename_source=f"/{it.bucket}/checkpoints"
    ),
    "SeaweedFS's own folder of its versions": lambda it: it.client.delete_object(
        Bucket=it.bucket, Key=f"{it.key}.versions/"
    ),
    "SeaweedFS's own file of it": lambda it: it.client.delete_object(
        Bucket=it.bucket, Key=f"{it.key}.versions/v_{it.version}"
    ),
    "that file put again": lambda it: it.client.put_object(
        Bucket=it.bucket, Key=f"{it.key}.versions/v_{it.version}", Body=b"x"
    ),
    "its folder": lambda it: it.client.delete_object(Bucket=it.bucket, Key="checkpoints/"),
    "a path that climbs": lambda it: it.send("DELETE", f"/x/../{it.key}", ""),
    "a rule that ends all": lambda it: it.client.put_bucket_lifecycle_configuration(
        Bucket=it.bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "all",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "Expiration": {"Days": 1},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                }
            ]
        },
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_requests_that_undo_a_lock(locked: LockedObject, name: str) -> None:
    with pytest.raises(ClientError):
        REFUSED[name](locked)
    check_held(locked)


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_accepted_requests_keep_the_locked_version(locked: LockedObject, name: str) -> None:
    WITHOUT_EFFECT[name](locked)
    check_held(locked)


def check_held(locked: LockedObject) -> None:
    assert locked.client.get_object(**locked.which)["Body"].read() == BODY  # type: ignore[arg-type]
    retention = locked.client.get_object_retention(**locked.which)["Retention"]  # type: ignore[arg-type]
    assert (retention["Mode"], retention["RetainUntilDate"]) == ("COMPLIANCE", locked.until)
