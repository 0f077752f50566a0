"""Amendment, version 1: what is learnt about a recording after it was sealed, signed, beside the manifest.

``amendment-0001.json``, ``amendment-0002.json`` … are signed documents (``signed_document.py``).  Each names
the SHA-256 of the one before it, the first that of the manifest, so that none can be taken out of the middle,
exchanged or moved to another recording unnoticed.  They are put once: two nodes cannot both write a number.

The kinds are a closed set; each has data of its own:

=====================  ============================================================================
``erased``             the tombstone: why, whose key and which objects are gone, what remains
``hold_set``           it must not go, for which purposes, at whose wish and why, looked at again when,
                       and who may still listen
``hold_lifted``        which hold (its amendment's number) ended, and why
``consent_withdrawn``  for which purposes somebody takes back that they agreed
``consent_added``       a purpose agreed to after the call, until when, under which country's rules
``purposes_narrowed``  which purposes end, and why
``deletion_requested``     the customer has it deleted, and why
=====================  ============================================================================

What follows from them is ``usage_terms.py``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.amendment_kinds import (
    ERASED,
    KINDS,
    Data,
    data_body,
    read_data,
)
from recorder.strict_json import STRICT, Form, Positive, Sha256, Time, one_of

MAX_BYTES = 1024 * 1024
LAST = 9999
"""As many as there can be of one recording: names sort as numbers do."""

_NAME = re.compile(r"amendment-([0-9]{4})\.json")


@dataclass(frozen=True, slots=True)
class By:
    """Who had it written down: ``system`` (a duty of the worker's), ``operator`` (the command line), or a
    ``user`` with their id.  Never a name: what is signed stays."""

    __pydantic_config__ = STRICT

    kind: Annotated[str, one_of(("system", "operator", "user"))]
    id: str | None = None


SYSTEM = By("system")


@dataclass(frozen=True, slots=True)
class Amendment:
    """A verified amendment.  ``predecessor`` is the hex SHA-256 of the document before it, ``sha256`` of
    its own bytes (empty where it is not written yet)."""

    recording: str
    tenant: str
    number: int
    predecessor: str
    at: datetime
    by: By
    data: Data
    signing_key_id: str = ""
    sha256: str = ""

    @property
    def kind(self) -> str:
        return KINDS[type(self.data)]


@dataclass(frozen=True, slots=True)
class AmendmentBody:
    """What is signed; the form of ``data`` depends on ``kind``."""

    __pydantic_config__ = STRICT

    recording: str
    tenant: str
    number: Positive
    predecessor: Sha256
    kind: str
    at: Time
    by: By
    data: dict[str, Any]


def _check(found: AmendmentBody) -> None:
    if (found.by.kind == "user") != (found.by.id is not None):
        raise SealError("seal.field", "amendment.body.by is no user with an id, nor another without one")
    read_data(found.kind, found.data)


def _use(body: object) -> str:
    """What a key must be endorsed for to sign an amendment with this body."""
    is_tombstone = isinstance(body, dict) and body.get("kind") == ERASED
    return signing.TOMBSTONE if is_tombstone else signing.AMENDMENT


AMENDMENT: Final = signed_document.Kind(
    "accord-amendment", "amendment", _use, Form[AmendmentBody](AmendmentBody),
    largest=MAX_BYTES, check=_check,
)  # fmt: skip


def name(number: int) -> str:
    """``amendment-0001.json``."""
    if not 1 <= number <= LAST:
        raise SealError("amendment.number", f"there is no amendment number {number}")
    return f"amendment-{number:04}.json"


def number_in(object_name: str) -> int | None:
    """The number in an amendment's name; ``None`` for any other name."""
    found = _NAME.fullmatch(object_name)
    return int(found[1]) or None if found else None


def write(amendment: Amendment, signer: signing.Signer) -> bytes:
    """The amendment, signed.  Raises :class:`SealError` (``seal.endorsement_use`` where the key is not
    endorsed for this kind, ``seal.endorsement_time``)."""
    return AMENDMENT.write(body_of(amendment), signer)


def open_amendment(content: bytes, root: Ed25519PublicKey, now: datetime | None = None) -> Amendment:
    """An amendment, verified from the root's public key alone.  Raises :class:`SealError` as
    :func:`sealing.open_manifest` does, and ``amendment.kind`` for one that this version does not know."""
    signed = AMENDMENT.read(content, root)
    said = signed.value
    signed_document.check_not_future("amendment", said.at, now)
    return Amendment(
        recording=said.recording,
        tenant=said.tenant,
        number=said.number,
        predecessor=said.predecessor,
        at=said.at,
        by=said.by,
        data=read_data(said.kind, said.data),
        signing_key_id=signed.key_id,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def body_of(amendment: Amendment) -> AmendmentBody:
    """What of an amendment is signed."""
    return AmendmentBody(
        recording=amendment.recording,
        tenant=amendment.tenant,
        number=amendment.number,
        predecessor=amendment.predecessor,
        kind=amendment.kind,
        at=amendment.at,
        by=amendment.by,
        data=data_body(amendment.data),
    )
