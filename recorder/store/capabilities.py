"""Probes an object store for ``accord doctor``, beyond what Accord itself needs (``Store.abilities``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from recorder.errors import StoreError
from recorder.ids import Entropy
from recorder.store.contract import Unreachable
from recorder.store.s3_client import Bucket, connect


@dataclass(frozen=True, slots=True)
class ServerCapabilities:
    """``clock``: the server's own time, to the second, if it states it. ``ranges``: whether it sends exactly
    the requested part of an object."""

    clock: datetime | None
    ranges: bool


def probe_server(bucket: Bucket, entropy: Entropy) -> ServerCapabilities:
    """Put a small object under a key of its own, read a part of it, and delete it.

    Raises :class:`StoreError`, :class:`Unreachable`.
    """
    client = connect(bucket)
    key = f"probe/{entropy(8).hex()}"
    with _errors(bucket):
        put = client.put_object(Bucket=bucket.name, Key=key, Body=b"0123456789")
        try:
            part = client.get_object(Bucket=bucket.name, Key=key, Range="bytes=2-4")
            with closing(part["Body"]) as body:
                ranges = body.read() == b"234"
        finally:
            if version := put.get("VersionId"):
                client.delete_object(Bucket=bucket.name, Key=key, VersionId=version)
            else:
                client.delete_object(Bucket=bucket.name, Key=key)
    date = put["ResponseMetadata"]["HTTPHeaders"].get("date")
    return ServerCapabilities(parsedate_to_datetime(date) if date else None, ranges)


@contextmanager
def _errors(bucket: Bucket) -> Iterator[None]:
    where = f"{bucket.endpoint or 'AWS'} bucket {bucket.name}"
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "RequestTimeTooSkewed":
            raise StoreError(
                "store.skewed",
                f"{where} refuses requests: this machine's clock is over 15 minutes off",
                "set both clocks by NTP; nothing is stored until then, and nothing is lost",
            ) from error
        raise StoreError("store.failed", f"{where}: {error}", "check the [store] settings") from error
    except HTTPClientError as error:
        raise Unreachable(
            "store.unreachable", f"{where} is unavailable: {error}", "nothing is lost: the spool keeps it"
        ) from error
    except BotoCoreError as error:
        raise Unreachable("store.failed", f"{where}: {error}", "check the [store] settings") from error
