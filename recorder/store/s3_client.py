"""Where a bucket is, and a boto3 client for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Addressing = Literal["path", "virtual", "auto"]


@dataclass(frozen=True, slots=True, repr=False)
class Bucket:
    """A bucket and how to reach it. ``endpoint`` ``None`` is AWS; times in seconds; ``connections`` is a
    maximum; ``ca_file``: PEM of a private authority. ``check`` is called before each request, which is not
    sent if it raises."""

    name: str
    access_key: str
    secret_key: str
    endpoint: str | None = None
    region: str = "us-east-1"
    addressing: Addressing = "auto"
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    connections: int = 16
    ca_file: str | None = None
    check: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, endpoint={self.endpoint!r})"


def connect(bucket: Bucket, *, sign_payload: bool | None = None) -> S3Client:
    """A client as every part of Accord uses it: signature version 4, checksums only if we send one, no
    retries of its own.

    ``sign_payload=False`` leaves the body out of the signature, even without HTTPS: for puts that carry their
    SHA-256 in a signed header to a server that compares it, so that nothing is hashed twice. ``None`` is
    boto3's choice.
    """
    s3: dict[str, object] = {"addressing_style": bucket.addressing}
    if sign_payload is not None:
        s3["payload_signing_enabled"] = sign_payload
    config = Config(
        region_name=bucket.region,
        signature_version="s3v4",
        connect_timeout=bucket.connect_timeout,
        read_timeout=bucket.read_timeout,
        max_pool_connections=bucket.connections,
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=s3,  # type: ignore[arg-type]
        user_agent_extra="accord",
    )
    # A separate session: the default one would read the machine's AWS profile.
    session = boto3.session.Session(
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        region_name=bucket.region,
    )
    client = session.client("s3", endpoint_url=bucket.endpoint, config=config, verify=bucket.ca_file)
    if (check := bucket.check) is not None:
        client.meta.events.register("before-send.s3", lambda **_request: check())
    return client
