"""Detects that a take's recording was erased while the take lay in an idle spool.

After a crash, or on a moved disk or a restored machine, a spool may hold a recording that was listed and has
expired since. The signed tombstone in the bucket proves that, or a signed statement about its customer or its
call. The catalogue alone suffices only if the recording has also expired by its own seal, so a changed row
deletes nothing. A tombstone by a revoked key deletes nothing either: the take waits for a person's decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import queries
from recorder.catalogue.records import RecordingRow
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.lifecycle import amendments
from recorder.lifecycle.statements import CALL_ERASED, LEFT, ErasedTenant, StatementCheck
from recorder.seal import revocation
from recorder.seal.amendment import name, open_amendment
from recorder.seal.amendment_chain import amendments_in
from recorder.seal.amendment_kinds import ERASED
from recorder.seal.keyring import tenant_key_path
from recorder.seal.revocation import Revoked
from recorder.seal.sealing import SealedTake
from recorder.spool.layout import RemovableTake
from recorder.store.contract import NotFound, Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ErasedTake(RemovableTake):
    """A take of a call or a recording that was erased."""


@dataclass(frozen=True, slots=True)
class ErasedSealedTake(ErasedTake):
    """A sealed take of a recording that was erased: what was stored of it must go, too."""

    sealed: SealedTake


def erased_by_statement(folder: Path, statement: StatementCheck) -> ErasedTake | None:
    """The take in a folder if a signed statement erases its call."""
    return ErasedTake(folder) if statement.signed else None


def erased_sealed(sealed: SealedTake, statement: StatementCheck) -> ErasedSealedTake | None:
    """A sealed take that must be deleted: its customer was offboarded, or its call was erased at a subject
    request while the take was in quarantine. Such an erasure names calls without a recording; a take that was
    announced and sealed is a recording, and is not deleted by it."""
    if LEFT in statement.signed:
        return ErasedSealedTake(sealed.folder, sealed)
    if CALL_ERASED in statement.signed and sealed.manifest.announced is not None:
        log.error(
            "call_erasure.names_recording",
            recording=sealed.recording,
            hint="a subject request erased it as a call without a recording: delete the recording, too, if "
            "that was meant",
        )
        return None
    return ErasedSealedTake(sealed.folder, sealed) if CALL_ERASED in statement.signed else None


def find_erasure(
    sealed: SealedTake, store: Store, root: Ed25519PublicKey, now: datetime, revoked: Revoked
) -> ErasedSealedTake | None:
    """A take whose recording was erased, so that nothing of it may be stored any more; ``None`` if it was
    not. Without amendments it costs one request to the store.

    Raises :class:`recorder.errors.StoreError`; ``CatalogueError`` (``row.erased``: erased by the catalogue,
    but by no signed statement); ``SealError`` for an invalid amendment, which may be a tombstone
    (``seal.key_revoked``: it is one, by a ``revoked`` key)."""
    row = _row(sealed)
    # Sealed again, from an older copy of the spool and by another clock, it may have another date.
    places = {sealed.prefix} if row is None else {row.prefix, sealed.prefix}
    if any(_has_tombstone(sealed, place, store, root, revoked) for place in places):
        return ErasedSealedTake(sealed.folder, sealed)
    if row is None or row.erased_at is None:
        return None
    if sealed.manifest.keep_until > now:
        raise CatalogueError(
            "row.erased",
            f"recording {sealed.recording} is erased in the catalogue, but the bucket has no tombstone, and "
            f"by its seal it is kept until {to_iso(sealed.manifest.keep_until)}",
            "the take stays in the spool; check whether the row was changed, or the bucket is an older copy",
        )
    return ErasedSealedTake(sealed.folder, sealed)


def find_new_erasure(
    sealed: SealedTake, store: Store, root: Ed25519PublicKey, now: datetime, revoked: Revoked
) -> ErasedSealedTake | None:
    """The same for a recording that was just stored, before it is listed.

    An erasure removes the key from the catalogue before it checks that all objects are gone: so either it
    sees the new objects, or this sees the missing key. It costs no request to the store if the recording is
    not listed, or is listed with its key.

    Raises as :func:`find_erasure` does, and :class:`CatalogueError` (``recording.without_key``) during the
    erasure."""
    row = _row(sealed)
    if row is None or row.wrapped_key is not None:
        return None
    if (erased := find_erasure(sealed, store, root, now, revoked)) is not None:
        return erased
    raise CatalogueError(
        "recording.without_key",
        f"recording {sealed.recording} is listed without its key: it is being erased",
        "it is checked again; if no erasure is in progress, `accord rebuild` completes the row",
    )


def delete_remains(erased: ErasedSealedTake, store: Store, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Delete all versions of the objects that may have been stored of an erased recording, keys first. The
    manifest beside its tombstone stays; one under another date is deleted. Idempotent. Raises
    :class:`recorder.errors.StoreError`, ``SealError``."""
    sealed = erased.sealed
    row = _row(sealed)
    put = [upload.key for upload in sealed.uploads]
    if (
        row is None
        or row.prefix == sealed.prefix
        or _has_tombstone(sealed, sealed.prefix, store, root, revoked)
    ):
        put.pop()  # the manifest
    for key in sorted(put, key=lambda key: not key.startswith("keys/")):
        store.delete(key)


def delete_tenant_key(erased: ErasedTenant, store: Store) -> None:
    """Delete an erased customer's key that a worker put just after its deletion. Raises
    :class:`recorder.errors.StoreError`."""
    store.delete(tenant_key_path(erased.tenant))


def _row(sealed: SealedTake) -> RecordingRow | None:
    return queries.recording(sealed.manifest.tenant, sealed.recording)


def _has_tombstone(
    sealed: SealedTake, place: str, store: Store, root: Ed25519PublicKey, revoked: Revoked
) -> bool:
    """Whether any amendment of this recording is a tombstone, at whatever number: an erasure is final."""
    me = (sealed.manifest.tenant, sealed.recording)
    try:
        store.read(place + name(1), 0, 1)  # not HEAD: its refusal has no reason
    except NotFound:
        return False
    names = [key.removeprefix(place) for key in store.list(place)]
    for _, content in amendments_in(store, place, names):
        amendment = open_amendment(content, root)
        if amendment.kind == ERASED and (amendment.tenant, amendment.recording) == me:
            if (
                why := revocation.find_doubt(amendment, revoked, lambda: amendments.known_hashes(*me))
            ) is not None:
                revocation.refuse(place + name(amendment.number), why)
            return True
    return False
