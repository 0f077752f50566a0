"""The signed record that calls without a recording were erased at a person's request.  It has only ids::

    call-erasures/<tenant>/<id>.json

Only such a record removes a call from the register or drops a take; the rows are an index to it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError
from recorder.seal import hints, signed_document, signing
from recorder.seal.document_source import DocumentSink, DocumentSource, read_document
from recorder.seal.keyring import key_part
from recorder.seal.revocation import Revoked
from recorder.spool.atomic_files import memory_file
from recorder.strict_json import Form, Strict, Time
from recorder.verified_state import VerifiedState

MAX_BYTES: Final = 256 * 1024
NOTES: Final = "call-erasures/"
"""Prefix of the records in the bucket."""

AT_ONCE: Final = 500
"""Maximum number of calls in one record."""

_PLACE = re.compile(r"call-erasures/([0-9a-z][0-9a-z-]*)/([0-9a-z][0-9a-z-]*)\.json")


@dataclass(frozen=True, slots=True)
class ErasedCalls(Strict):
    """The erased calls, the time, and the subject request."""

    tenant: str
    request: str
    at: Time
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErasedCallsRecord(ErasedCalls, VerifiedState):
    """A verified record; ``key`` is the id of the signing key."""

    key: str


def _check(found: ErasedCalls) -> None:
    if list(found.calls) != sorted(set(found.calls)) or not 0 < len(found.calls) <= AT_ONCE:
        raise SealError(
            "seal.contradiction", f"a note names 1 to {AT_ONCE} calls, each once and in order", hints.DOCUMENT
        )


NOTE: Final = signed_document.Kind(
    "accord-calls-erased", "note", signing.CALL_ERASURE, Form[ErasedCalls](ErasedCalls),
    largest=MAX_BYTES, check=_check,
)  # fmt: skip


def place_of(tenant: str, note: str) -> str:
    """Return a record's key in the bucket.  Raises :class:`SealError` for invalid ids."""
    return f"{NOTES}{key_part(tenant)}/{key_part(note)}.json"


def ids_in(key: str) -> tuple[str, str] | None:
    """Return the customer's and the record's id in an object's key; ``None`` for another key."""
    match = _PLACE.fullmatch(key)
    return None if match is None else (match[1], match[2])


def put(
    store: DocumentSink,
    note: str,
    tenant: str,
    request: str,
    calls: list[str],
    at: datetime,
    signer: signing.Signer,
    root: Ed25519PublicKey,
) -> ErasedCallsRecord:
    """Sign a record and put it.  Raises :class:`SealError` (a key that is not endorsed for it),
    :class:`recorder.errors.StoreError`."""
    content = NOTE.write(ErasedCalls(tenant, request, at, tuple(sorted(calls))), signer)
    record = read(content, root)
    with memory_file(content) as path:
        store.put(place_of(tenant, note), path, hashlib.sha256(content).hexdigest())
    return record


def read(content: bytes, root: Ed25519PublicKey) -> ErasedCallsRecord:
    """Read a record and verify it from the root's public key alone.  Raises :class:`SealError`."""
    signed = NOTE.read(content, root)
    found = signed.value
    return ErasedCallsRecord(found.tenant, found.request, found.at, found.calls, signed.key_id)


def note_at(
    source: DocumentSource, tenant: str, note: str, root: Ed25519PublicKey, revoked: Revoked
) -> ErasedCallsRecord:
    """Read a customer's record from the bucket. Raises :class:`SealError` (``call_erasure.foreign`` for
    another customer's, ``seal.key_revoked`` where its key was revoked, whatever its date), ``NotFound``,
    :class:`recorder.errors.StoreError`."""
    place = place_of(tenant, note)
    found = read(read_document(source, place, MAX_BYTES), root)
    if found.tenant != tenant:
        raise SealError("call_erasure.foreign", f"{place} is a note of customer {found.tenant}", hints.OBJECT)
    if found.key in revoked:
        raise SealError(
            "seal.key_revoked",
            f"{place} is signed by key {found.key}, which was revoked",
            "treat it as unverified, and find out who had the key",
        )
    return found
