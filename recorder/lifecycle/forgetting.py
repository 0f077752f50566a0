"""Erasing calls that were not recorded, for the person who was at the other end (GDPR art. 17).

No seal speaks of such a call: all there is of it are a row and what its leaf was opened with.  What was set
aside until somebody decides may become a recording yet, which a law may ask to keep: that stays, and is said.

Before the rows go, a signed note with the calls' ids alone is put into the bucket, so that a catalogue that
is restored from an older copy forgets them again (:func:`bring_back`)::

    forgotten/<tenant>/<id>.json
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.catalogue import forgetting, persons, reviews
from recorder.catalogue.persons import RequestRow
from recorder.clock import to_iso
from recorder.errors import CatalogueError, SealError
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.changing import Changes
from recorder.seal import document, signing
from recorder.seal.canonical import Fields
from recorder.seal.files import read_document
from recorder.seal.keys import part
from recorder.store.base import Store
from recorder.take.files import in_memory

TYPE: Final = "accord-calls-forgotten"
VERSION: Final = 1
MAX_BYTES: Final = 256 * 1024
NOTES: Final = "forgotten/"
"""Where the notes lie in the bucket."""

AT_ONCE: Final = 500
"""Calls in one note, and in one transaction."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What came of it: how many calls were ``erased``, and how many are ``kept`` until somebody decides what
    becomes of their sound."""

    erased: int
    kept: int


@dataclass(frozen=True, slots=True)
class Note:
    """A verified note: which calls were forgotten, and by which request."""

    tenant: str
    request: str
    calls: tuple[str, ...]


def erase(changes: Changes, request: RequestRow, who: str) -> Forgotten:
    """Erase a person's calls that were not recorded, where that may be.  Broken off, it is asked again.
    Raises :class:`SealError` (the key that signs is not endorsed any more), :class:`StoreError`, and
    :class:`recorder.errors.PersonError` where that was not asked, or nobody has shown that it is theirs."""
    request = persons.proved(request.tenant, request.id, wants=persons.ERASES)
    found = reviews.not_recorded(request.tenant, request.number)
    may = [row.id for row in found if not row.undecided]
    erased = 0
    for begin in range(0, len(may), AT_ONCE):
        some, now = may[begin : begin + AT_ONCE], changes.now()
        _put(changes, request, some, now)
        changes.boundary("note put")
        erased += forgetting.forget_calls(
            request.tenant, request.id, some, who=who, now=now, entropy=changes.entropy
        )
        changes.boundary("calls forgotten")
    return Forgotten(erased, len(found) - len(may))


def _put(changes: Changes, request: RequestRow, calls: list[str], now: datetime) -> None:
    changes.signer.check(signing.CALL_ERASURE, now)
    body = {
        "type": TYPE,
        "version": VERSION,
        "tenant": request.tenant,
        "request": request.id,
        "at": to_iso(now),
        "calls": sorted(calls),
        "software": f"accord {__version__}",
    }
    content = document.write(body, changes.signer)
    read(content, changes.root)
    place = f"{NOTES}{part(request.tenant)}/{uuid7(now, changes.entropy)}.json"
    with in_memory(content) as path:
        changes.store.put(place, path, hashlib.sha256(content).hexdigest())


def read(content: bytes, root: Ed25519PublicKey) -> Note:
    """A note, verified from the root's public key alone.  Raises :class:`SealError`."""
    body, _ = document.read(content, "note", root, signing.CALL_ERASURE, "at", MAX_BYTES)
    fields = Fields(body, "note.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    return Note(fields.text("tenant"), fields.text("request"), fields.texts("calls"))


def bring_back(store: Store, root: Ed25519PublicKey, now: datetime, entropy: Entropy) -> int:
    """Forget again, after a restore or rebuild, what the notes in the bucket say; how many calls were there
    again.  Raises :class:`SealError` for a note that cannot be believed, :class:`StoreError`."""
    gone = 0
    for key in list(store.list(NOTES)):
        said = read(read_document(store, key, MAX_BYTES), root)
        if not key.startswith(f"{NOTES}{said.tenant}/"):
            raise SealError("seal.manifest_foreign", f"{key} is a note of customer {said.tenant}")
        known = forgetting.forgotten_among(said.calls)
        again = [each for each in said.calls if each not in known]
        try:
            gone += forgetting.forget_calls(
                said.tenant, said.request, again, who="", now=now, entropy=entropy
            )
        except CatalogueError as error:
            if error.error_id != "tenant.unknown":
                raise
    return gone
