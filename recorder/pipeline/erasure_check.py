"""Detects that a take's recording was erased while the take lay in an idle spool.

After a crash, or on a disk that was moved or a machine that was restored, a spool may hold a recording that
was listed and has expired since.  The signed tombstone in the bucket proves that.  The catalogue alone
suffices only for a recording that has expired by its own seal, so a changed row destroys nothing.  Nor does a
tombstone by a revoked key: the take waits for a person's decision.
"""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import queries
from recorder.catalogue.records import RecordingRow
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.lifecycle import amendments
from recorder.seal import revocation
from recorder.seal.amendment import name, open_amendment
from recorder.seal.amendment_chain import amendments_in
from recorder.seal.amendment_kinds import ERASED
from recorder.seal.revocation import Revoked
from recorder.seal.sealing import SealedTake
from recorder.store.contract import NotFound, Store


def was_erased(
    sealed: SealedTake, store: Store, root: Ed25519PublicKey, now: datetime, revoked: Revoked
) -> bool:
    """Whether nothing of a recording may be put any more.  One question to the store where it was never
    amended.

    Raises :class:`recorder.errors.StoreError`, ``CatalogueError`` (``row.erased``: the catalogue says
    destroyed, and nothing that was sealed does), ``SealError`` for an amendment that cannot be believed: it
    may be a tombstone (``seal.key_revoked``: it is one, by a key that is ``revoked``)."""
    row = _row(sealed)
    # Sealed again, from an older copy of the spool and by another clock, it may be of another day.
    places = {sealed.prefix} if row is None else {row.prefix, sealed.prefix}
    if any(_has_tombstone(sealed, place, store, root, revoked) for place in places):
        return True
    if row is None or row.erased_at is None:
        return False
    if sealed.manifest.keep_until > now:
        raise CatalogueError(
            "row.erased",
            f"recording {sealed.recording} is destroyed in the catalogue; the bucket has no tombstone, and "
            f"its seal says until {to_iso(sealed.manifest.keep_until)}",
            "the take stays in the spool: was the row changed, or is the bucket an older copy?",
        )
    return True


def was_erased_meanwhile(
    sealed: SealedTake, store: Store, root: Ed25519PublicKey, now: datetime, revoked: Revoked
) -> bool:
    """The same for a recording that was just put, before it is listed.  Whoever destroys it makes the
    catalogue forget its key before they look whether all is gone: either they see what was put, or this sees
    them.  No question to the store where it is not listed yet, or with its key.

    Raises as :func:`was_erased`, and :class:`CatalogueError` (``recording.without_key``) while it is being
    destroyed."""
    row = _row(sealed)
    if row is None or row.wrapped_key is not None:
        return False
    if was_erased(sealed, store, root, now, revoked):
        return True
    raise CatalogueError(
        "recording.without_key",
        f"recording {sealed.recording} is listed without its key: it is being destroyed",
        "it is looked at again; where nobody destroys it, `accord rebuild` completes the row",
    )


def take_back(sealed: SealedTake, store: Store, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Delete what may have been put of a recording that was erased, every version, the key first.  The
    manifest that its tombstone speaks of stays, as ever; one of another day goes.  Can be repeated.  Raises
    :class:`recorder.errors.StoreError`, ``SealError``."""
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


def _row(sealed: SealedTake) -> RecordingRow | None:
    return queries.recording(sealed.manifest.tenant, sealed.recording)


def _has_tombstone(
    sealed: SealedTake, place: str, store: Store, root: Ed25519PublicKey, revoked: Revoked
) -> bool:
    """By any amendment of this recording that says so, wherever it stands: being erased is for ever."""
    me = (sealed.manifest.tenant, sealed.recording)
    try:
        store.read(place + name(1), 0, 1)  # a HEAD's refusal does not say why: a wrong clock, or no right
    except NotFound:
        return False
    names = [key.removeprefix(place) for key in store.list(place)]
    for _, content in amendments_in(store, place, names):
        amendment = open_amendment(content, root)
        if amendment.kind == ERASED and (amendment.tenant, amendment.recording) == me:
            if (why := revocation.find_doubt(amendment, revoked, lambda: amendments.seen(*me))) is not None:
                revocation.refuse(place + name(amendment.number), why)
            return True
    return False
