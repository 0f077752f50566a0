"""The contract of an object store: what Accord needs of a bucket, and nothing else.

``tests/contract`` runs one suite over every implementation.  Retrying is a wrapper
(``retry.py``), never inside a store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from recorder.errors import StoreError


class NotFound(StoreError):
    """There is no object of that key."""


class Conflict(StoreError):
    """An object of that key exists with other content."""


class Unreachable(StoreError):
    """The store is away or overloaded: try again later, nothing is lost."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this server really does, found by trying it (never inferred from a brand)."""

    put_if_absent: bool
    checks_sha256: bool
    versioning: bool
    object_lock: bool


class Store(Protocol):
    """Objects by key.  Keys are ``/``-separated ASCII without empty, ``.`` or ``..`` parts."""

    def put(self, key: str, path: Path, sha256: str, *, locked_until: datetime | None = None) -> None:
        """Store a file once.

        Idempotent: putting the same bytes again is no error.  Raises :class:`Conflict` where other
        bytes are stored under the key (they stay), :class:`Unreachable`, :class:`StoreError` when what
        arrived does not have the hash (nothing stays then).  ``sha256`` is hex, of the file's bytes.

        Until ``locked_until`` nobody can delete or replace it, whoever they are (Object Lock, COMPLIANCE),
        where the store has that (``abilities().object_lock``); elsewhere it is stored as any other.
        """

    def replace(self, key: str, path: Path, sha256: str) -> None:
        """Store a file under a key whatever is there, and leave no other version of it: for wrapped keys
        alone, which are wrapped anew.

        Whoever reads meanwhile has the one or the other, whole.  Can be repeated; broken off, the version of
        before may be left until it is.  Raises as :meth:`put`, but for :class:`Conflict`."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Bytes ``start`` up to, not including, ``end`` (``None``: to the end; past it: what there is).
        Raises :class:`NotFound`, :class:`Unreachable`."""

    def size(self, key: str) -> int:
        """Length in bytes.  Raises :class:`NotFound`, :class:`Unreachable`."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys that begin with ``prefix`` and come after ``after``, sorted, in pages behind the scenes.

        ``after`` is a key, or a folder with its slash and ``~``, which comes after whatever lies in it.
        Where a folder and an object beside it differ only in what follows the folder's name (``a/…`` and
        ``a.json``), a server may get it wrong (SeaweedFS does); nothing of Accord's lies so."""

    def delete(self, key: str) -> None:
        """Delete every version.  Idempotent."""

    def abilities(self) -> Abilities:
        """Probe the server under a key of its own, and clean up."""
