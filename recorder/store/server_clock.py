"""The object store's clock: whatever it answers, HTTP says when."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from recorder.errors import StoreError
from recorder.store.s3_client import Bucket

_PATIENCE = 5.0


def time_of(bucket: Bucket) -> datetime | None:
    """A bucket's server's time, to the second; ``None`` where it is this machine's own, or it does not say.
    Raises :class:`StoreError` (``store.unreachable``)."""
    url = bucket.endpoint or f"https://s3.{bucket.region}.amazonaws.com"
    host = urlsplit(url).hostname or ""
    try:
        if is_here(host):
            return None
        with urllib3.PoolManager(ca_certs=bucket.ca_file) as pool:
            answer = pool.request("HEAD", url, redirect=False, retries=False, timeout=_PATIENCE)
    except (HTTPError, OSError) as error:
        raise StoreError("store.unreachable", f"{url} does not say what time it is: {error}", "") from error
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def is_here(host: str) -> bool:
    """Whether a host is this machine.  Raises ``OSError`` where its name cannot be resolved."""
    for family, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM):
        with socket.socket(family, socket.SOCK_DGRAM) as attempt:
            try:
                attempt.bind((address[0], 0))  # which only one of our own addresses lets us
            except OSError:
                continue
            return True
    return False
