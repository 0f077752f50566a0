"""The signed statements of a dispute, kept in the catalogue: what happened in it, one after another.

::

    {"body": {"type": "accord-dispute-statement", "version": 1, "tenant": ..., "dispute": ..., "number": 3,
              "predecessor": ..., "kind": "guest_answered", "at": ..., "by": {"kind": "user", "id": ...},
              "data": {...}, "software": ...},
     "endorsement": ..., "signatures": [...]}

Each is a signed document (``signed_document.py``), by a key that is endorsed for disclosures, because it
decides who hears a recording. Each names the SHA-256 of its predecessor, and has a leaf in the customer's
log; so none can be removed, replaced or added unnoticed. The state of a dispute follows from them alone
(``features/disputes/rules.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import truncate
from recorder.errors import SealError
from recorder.seal import hints, signed_document, signing
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import KINDS, DisputeData, data_body, read_data
from recorder.seal.revocation import Trust, check_signer
from recorder.strict_json import Form, Positive, Sha256, Strict, Time

MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class DisputeStatement:
    """A statement about a dispute. ``predecessor`` is the hex SHA-256 of the one before (``None`` for the
    first), ``sha256`` that of its own bytes; this and the key's id are empty until it is written."""

    tenant: str
    dispute: str
    number: int
    predecessor: str | None
    at: datetime
    by: By
    data: DisputeData
    sha256: str = ""
    signing_key_id: str = ""

    @property
    def kind(self) -> str:
        return KINDS[type(self.data)]


@dataclass(frozen=True, slots=True)
class StatementOfDispute(Strict):
    """The signed body; the form of ``data`` depends on ``kind``."""

    tenant: str
    dispute: str
    number: Positive
    predecessor: Sha256 | None
    kind: str
    at: Time
    by: By
    data: dict[str, Any]


def _check(found: StatementOfDispute) -> None:
    if (found.by.kind == "user") != (found.by.id is not None):
        raise SealError(
            "seal.field",
            "statement.body.by names no user with an id, and no other author without one",
            hints.DOCUMENT,
        )
    if (found.number == 1) != (found.predecessor is None):
        raise SealError("seal.field", "statement.body.predecessor does not fit its number", hints.DOCUMENT)
    read_data(found.kind, found.data)


STATEMENT: Final = signed_document.Kind(
    "accord-dispute-statement", "statement", signing.DISCLOSURE, Form[StatementOfDispute](StatementOfDispute),
    largest=MAX_BYTES, check=_check,
)  # fmt: skip


def next_statement(
    tenant: str, dispute: str, before: Sequence[DisputeStatement], data: DisputeData, by: By, now: datetime
) -> DisputeStatement:
    """Return the statement that follows ``before``, not yet signed."""
    predecessor = before[-1].sha256 if before else None
    return DisputeStatement(tenant, dispute, len(before) + 1, predecessor, truncate(now), by, data)


def write(statement: DisputeStatement, signer: signing.Signer) -> str:
    """Sign a statement.  Raises :class:`SealError` (``seal.endorsement_use``, ``seal.endorsement_time``)."""
    body = StatementOfDispute(
        statement.tenant, statement.dispute, statement.number, statement.predecessor, statement.kind,
        statement.at, statement.by, data_body(statement.data),
    )  # fmt: skip
    return STATEMENT.write(body, signer).decode()


def read(content: str, trust: Trust) -> DisputeStatement:
    """Read a statement and verify it from the root's public key.  Raises :class:`SealError`, also where its
    signing key was revoked by then (``seal.key_revoked``)."""
    found = _read(content, signing.raw_public(trust.root))
    what = f"statement {found.number} of dispute {found.dispute}"
    check_signer(found.signing_key_id, found.at, what, trust.revoked(), hints.COMPARE)
    return found


@lru_cache(maxsize=4096)  # every request for sound in a room reads all of its dispute's
def _read(content: str, raw_root: bytes) -> DisputeStatement:
    signed = STATEMENT.read(content.encode(), Ed25519PublicKey.from_public_bytes(raw_root))
    body = signed.value
    return DisputeStatement(
        body.tenant, body.dispute, body.number, body.predecessor, body.at, body.by,
        read_data(body.kind, body.data), hashlib.sha256(content.encode()).hexdigest(), signed.key_id,
    )  # fmt: skip


def check_chain(tenant: str, dispute: str, found: Iterable[DisputeStatement]) -> None:
    """Check that statements are all of one dispute, in order, without a gap.  Raises :class:`SealError`:
    ``dispute.foreign``, ``dispute.missing``, ``dispute.predecessor``."""
    before: DisputeStatement | None = None
    for expected, each in enumerate(found, 1):
        if (each.tenant, each.dispute) != (tenant, dispute):
            raise SealError(
                "dispute.foreign", f"a statement of dispute {dispute} is another's", hints.COMPARE
            )
        if each.number != expected:
            raise SealError(
                "dispute.missing", f"dispute {dispute} has no statement {expected}", hints.COMPARE
            )
        if each.predecessor != (before.sha256 if before else None):
            what = f"statement {expected} of dispute {dispute} does not link to its predecessor"
            raise SealError("dispute.predecessor", what, hints.COMPARE)
        before = each
