"""Takes whose recording is stored and listed: the copy in the spool may go."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.catalogue import queries
from recorder.errors import StoreError
from recorder.seal.document_source import read_document
from recorder.seal.manifest import MAX_BYTES
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.sealing import SealedTake
from recorder.spool.layout import STORED, RemovableTake
from recorder.store.contract import NotFound, Store


@dataclass(frozen=True, slots=True)
class StoredTake(RemovableTake):
    """A take whose manifest, the last object to be put, is in the bucket as it was sealed, and whose
    recording is listed with it."""


def stored_take(sealed: SealedTake, store: Store) -> StoredTake:
    """The sealed take, once it is stored and listed; if it is not, the worker stores it again. Raises
    :class:`StoreError` (``take.not_stored``)."""
    row = queries.recording(sealed.manifest.tenant, sealed.recording)
    try:
        stored = read_document(store, sealed.prefix + MANIFEST, MAX_BYTES)
    except NotFound:
        stored = b""
    if row is None or stored != sealed.manifest_bytes:
        (sealed.folder / STORED).unlink(missing_ok=True)
        raise StoreError(
            "take.not_stored",
            f"the take of recording {sealed.recording} was stored, and the bucket no longer has its manifest",
            "the take stays in the spool, and the worker stores it again",
        )
    return StoredTake(sealed.folder)
