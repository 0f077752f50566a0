"""The contract of an object store: what Accord needs of a bucket, and nothing else.

``tests/contract`` runs one suite against every implementation. Retries are a wrapper (``retry.py``), never
part of a store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from recorder.errors import StoreError

MISSING: Final = (
    "if it was not erased, look for an older version of it in the bucket; `accord audit run` names what is "
    "missing"
)
"""Hint of :class:`NotFound`."""


class NotFound(StoreError):
    """There is no object with that key."""


class Conflict(StoreError):
    """An object with that key exists and has other content."""


class Unreachable(StoreError):
    """The store is unavailable or overloaded: try again later, nothing is lost."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """The server's abilities, found by probing it (never inferred from a brand)."""

    put_if_absent: bool
    checks_sha256: bool
    versioning: bool
    object_lock: bool


class Store(Protocol):
    """Objects by key. Keys are ``/``-separated ASCII without empty, ``.`` or ``..`` parts."""

    def put(self, key: str, path: Path, sha256: str, *, locked_until: datetime | None = None) -> None:
        """Store a file once.

        Idempotent: putting the same bytes again is no error. Raises :class:`Conflict` if other bytes are
        stored under the key (they stay), :class:`Unreachable`, or :class:`StoreError` if what arrived does
        not have the hash (nothing is kept then). ``sha256`` is hex, of the file's bytes.

        Until ``locked_until`` nobody can delete or replace the object, whoever they are (Object Lock,
        COMPLIANCE), if the store supports that (``abilities().object_lock``); otherwise it is stored without
        a lock.
        """

    def replace(self, key: str, path: Path, sha256: str) -> None:
        """Store a file under a key, whatever is there, and leave no other version: only for wrapped keys,
        which are wrapped again.

        A concurrent reader gets one or the other, whole. Can be repeated; if interrupted, the previous
        version may remain until it is. Raises as :meth:`put` does, except :class:`Conflict`.
        """

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Bytes ``start`` up to, not including, ``end`` (``None``: to the end; past the end: what there is).
        Raises :class:`NotFound`, :class:`Unreachable`."""

    def size(self, key: str) -> int:
        """Length in bytes. Raises :class:`NotFound`, :class:`Unreachable`."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys that begin with ``prefix`` and sort after ``after``, in order; pages are fetched as needed.

        ``after`` is a key, or a folder with its slash and ``~``, which sorts after everything in the folder.
        If the names of a folder and of an object beside it differ only in what follows the folder's name
        (``a/…`` and ``a.json``), a server may get the order wrong (SeaweedFS does); Accord has no such keys.
        """

    def delete(self, key: str) -> None:
        """Delete every version. Idempotent."""

    def abilities(self) -> Abilities:
        """Probe the server under a key of its own, and clean up."""
