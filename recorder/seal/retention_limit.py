"""Retention limit, version 1: a customer keeps recordings for a shorter time than announced, as a signed
statement.

Two signed documents (``signed_document.py``) for each limit::

    retention/<tenant>/<id>.json           that it is set
    retention/<tenant>/<id>-lifted.json    that it is lifted; names the SHA-256 of the first

Both are put once and stay.  The catalogue has copies of their bytes, so that whoever decides by a limit
checks the signature without a read of the bucket; whoever destroys because of one also looks into the
bucket.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.amendment import By
from recorder.seal.keyring import part
from recorder.strict_json import STRICT, Form, Positive, Sha256, Time

MAX_BYTES: Final = 16 * 1024
FOLDER: Final = "retention/"
"""Where the statements lie in the bucket."""

_NAME = re.compile(
    r"retention/([0-9a-z][0-9a-z-]*)/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(-lifted)?\.json"
)


@dataclass(frozen=True, slots=True)
class LimitSet:
    """At most ``days`` from ``since`` on, for one purpose, on one line (``None``: any).  ``covers_consents``:
    also what was agreed to be kept longer, in the call or later, before ``since``; otherwise that lasts
    until its own day."""

    __pydantic_config__ = STRICT

    tenant: str
    id: str
    purpose: str | None
    line: str | None
    days: Positive
    since: Time
    covers_consents: bool
    by: By

    @property
    def signed_at(self) -> datetime:
        return self.since


@dataclass(frozen=True, slots=True)
class LimitLifted:
    """Recordings made from ``at`` on are kept as announced again.  ``set_sha256`` is the hex SHA-256 of the
    statement that set the limit ``id``."""

    __pydantic_config__ = STRICT

    tenant: str
    id: str
    set_sha256: Sha256
    at: Time
    by: By

    @property
    def signed_at(self) -> datetime:
        return self.at


def _check(found: LimitSet | LimitLifted) -> None:
    if found.by.kind == "system" or (found.by.kind == "user") != (found.by.id is not None):
        raise SealError("seal.field", "retention limit.body.by is no user with an id, nor the operator")


SET: Final = signed_document.Kind(
    "accord-retention-limit", "retention limit", signing.RETENTION, Form[LimitSet](LimitSet),
    signed_at="since", check=_check,
)  # fmt: skip
LIFTED: Final = signed_document.Kind(
    "accord-retention-limit-lifted", "lifted retention limit", signing.RETENTION,
    Form[LimitLifted](LimitLifted), check=_check,
)  # fmt: skip


def place_of(tenant: str, limit: str, *, lifted: bool = False) -> str:
    """Where a statement lies in the bucket."""
    return f"{FOLDER}{part(tenant)}/{part(limit)}{'-lifted' if lifted else ''}.json"


def parse_place(key: str) -> tuple[str, str, bool] | None:
    """The tenant and the limit that a place names, and whether it is that of a lifting; ``None`` for any
    other."""
    found = _NAME.fullmatch(key)
    return None if found is None else (found[1], found[2], found[3] is not None)


def write(statement: LimitSet | LimitLifted, signer: signing.Signer) -> bytes:
    """The statement, signed.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    if isinstance(statement, LimitSet):
        return SET.write(statement, signer)
    return LIFTED.write(statement, signer)


def open_set(content: bytes, root: Ed25519PublicKey) -> tuple[LimitSet, str]:
    """That a limit is set, verified from the root's public key alone, and the id of the key that signed
    it.  Raises :class:`SealError`."""
    signed = SET.read(content, root)
    return signed.value, signed.key_id


def open_lifted(content: bytes, root: Ed25519PublicKey) -> tuple[LimitLifted, str]:
    """That a limit is lifted, as :func:`open_set`."""
    signed = LIFTED.read(content, root)
    return signed.value, signed.key_id


def sha256_of(content: bytes) -> str:
    """The hex SHA-256 by which leaves and liftings name a statement."""
    return hashlib.sha256(content).hexdigest()
