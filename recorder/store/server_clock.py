"""The object store's clock, from the Date header of any of its answers."""

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


def server_time(bucket: Bucket) -> datetime | None:
    """The time of a bucket's server, to the second; ``None`` if that is this machine, or the server does not
    state it. Raises :class:`StoreError` (``store.unreachable``)."""
    url = bucket.endpoint or f"https://s3.{bucket.region}.amazonaws.com"
    host = urlsplit(url).hostname or ""
    try:
        if is_this_machine(host):
            return None
        with urllib3.PoolManager(ca_certs=bucket.ca_file) as pool:
            answer = pool.request("HEAD", url, redirect=False, retries=False, timeout=_PATIENCE)
    except (HTTPError, OSError) as error:
        raise StoreError(
            "store.unreachable",
            f"{url} does not state the time: {error}",
            "start the store, or correct [store] endpoint",
        ) from error
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine. Raises ``OSError`` if its name cannot be resolved."""
    for family, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM):
        with socket.socket(family, socket.SOCK_DGRAM) as attempt:
            try:
                attempt.bind((address[0], 0))  # which succeeds only with an address of our own
            except OSError:
                continue
            return True
    return False
