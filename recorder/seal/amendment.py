"""The amendment, version 1: a signed statement about a sealed recording, beside its manifest.

``amendment-0001.json``, ``amendment-0002.json`` … are signed documents (``signed_document.py``).  Each names
the SHA-256 of its predecessor, the first that of the manifest, so removing one from the middle, replacing one
or moving one to another recording is noticed.  Each is put once: two nodes cannot write the same number.

The kinds are a closed set, each with its own data:

=====================  ============================================================================
``erased``             the tombstone: the reason, the destroyed key, the deleted objects, and what remains
``hold_set``           a legal hold: its purposes, owner, reason and review date, and the roles that may
                       still listen
``hold_lifted``        the number of the hold's amendment, and the reason
``consent_withdrawn``  the purposes that consent is withdrawn for
``consent_added``      a purpose consented to after the call, its end, and the country of the rules
``purposes_narrowed``  the purposes that end, and the reason
``deletion_requested``  the customer's reason for deletion
``outcome_added``      what the two sides of a dispute agreed on
``erasure_deferred``   the dispute whose outcome an erasure waits for, and the last day
``deferral_ended``     the number of the deferral's amendment, why it ends, and who said so
=====================  ============================================================================

``usage_terms.py`` derives their consequences.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError
from recorder.seal import amendment_kinds, hints, signed_document, signing
from recorder.strict_json import Form, Positive, Sha256, Strict, Time, one_of

MAX_BYTES = 1024 * 1024
LAST = 9999
"""Maximum number of amendments of one recording: up to it, names sort like numbers."""

_NAME = re.compile(r"amendment-([0-9]{4})\.json")


@dataclass(frozen=True, slots=True)
class By(Strict):
    """The author: ``system`` (a duty of the worker), ``operator`` (the command line), or a ``user`` with
    their id.  Never a name, since signed documents stay."""

    kind: Annotated[str, one_of(("system", "operator", "user"))]
    id: str | None = None


SYSTEM = By("system")


@dataclass(frozen=True, slots=True)
class Amendment:
    """A verified amendment.  ``predecessor`` is the hex SHA-256 of the previous document, ``sha256`` that of
    its own bytes (empty until it is written)."""

    recording: str
    tenant: str
    number: int
    predecessor: str
    at: datetime
    by: By
    data: amendment_kinds.Data
    signing_key_id: str = ""
    sha256: str = ""

    @property
    def kind(self) -> str:
        return amendment_kinds.KINDS[type(self.data)]


@dataclass(frozen=True, slots=True)
class AmendmentBody(Strict):
    """The signed body; the form of ``data`` depends on ``kind``."""

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
        raise SealError(
            "seal.field",
            "amendment.body.by names no user with an id, and no other author without one",
            hints.DOCUMENT,
        )
    amendment_kinds.read_data(found.kind, found.data)


_USES: Final = {amendment_kinds.ERASED: signing.TOMBSTONE, amendment_kinds.OUTCOME_ADDED: signing.MANIFEST}
"""The endorsements that some kinds take. An outcome ends the deferral of an erasure: only the worker, which
compares it with the dispute's statements, can seal it."""


def _use(body: object) -> str:
    """Return the endorsement that signing this body takes."""
    kind = body.get("kind") if isinstance(body, dict) else None
    return _USES.get(kind, signing.AMENDMENT) if isinstance(kind, str) else signing.AMENDMENT


AMENDMENT: Final = signed_document.Kind(
    "accord-amendment", "amendment", _use, Form[AmendmentBody](AmendmentBody),
    largest=MAX_BYTES, check=_check,
)  # fmt: skip


def name(number: int) -> str:
    """Return the object name of an amendment, such as ``amendment-0001.json``.  Raises :class:`SealError`
    (``amendment.number``)."""
    if not 1 <= number <= LAST:
        raise SealError(
            "amendment.number",
            f"an amendment's number is 1 to {LAST}, not {number}",
            "no recording can have more amendments; write to the authors of Accord if one needs them",
        )
    return f"amendment-{number:04}.json"


def number_in(object_name: str) -> int | None:
    """Return the number in an amendment's object name; ``None`` for any other name."""
    found = _NAME.fullmatch(object_name)
    return int(found[1]) or None if found else None


def write(amendment: Amendment, signer: signing.Signer) -> bytes:
    """Sign an amendment. Raises :class:`SealError` (``seal.endorsement_use`` where the key is not endorsed
    for this kind, ``seal.endorsement_time``)."""
    return AMENDMENT.write(body_of(amendment), signer)


def open_amendment(content: bytes, root: Ed25519PublicKey, now: datetime | None = None) -> Amendment:
    """Read an amendment and verify it from the root's public key alone.  Raises :class:`SealError` as
    :func:`sealing.open_manifest` does, and ``amendment.kind`` for one that this version does not know."""
    signed = AMENDMENT.read(content, root)
    body = signed.value
    signed_document.check_not_future("amendment", body.at, now)
    return Amendment(
        recording=body.recording,
        tenant=body.tenant,
        number=body.number,
        predecessor=body.predecessor,
        at=body.at,
        by=body.by,
        data=amendment_kinds.read_data(body.kind, body.data),
        signing_key_id=signed.key_id,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def body_of(amendment: Amendment) -> AmendmentBody:
    """Return the part of an amendment that is signed."""
    return AmendmentBody(
        recording=amendment.recording,
        tenant=amendment.tenant,
        number=amendment.number,
        predecessor=amendment.predecessor,
        kind=amendment.kind,
        at=amendment.at,
        by=amendment.by,
        data=amendment_kinds.data_body(amendment.data),
    )
