"""The retention limit, version 1: a signed statement that a customer keeps recordings for a shorter time than
announced.

Two signed documents (``signed_document.py``) for each limit::

    retention/<tenant>/<id>.json           that it is set
    retention/<tenant>/<id>-lifted.json    that it is lifted, with the SHA-256 of the first

Both are put once and stay.  The catalogue has copies of their bytes, so that applying a limit checks its
signature without reading the bucket; an erasure because of a limit reads the bucket, too.
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
from recorder.seal.amendment import By
from recorder.seal.keyring import key_part
from recorder.strict_json import Form, Positive, Sha256, Strict, Time

MAX_BYTES: Final = 16 * 1024
FOLDER: Final = "retention/"
"""Prefix of the statements in the bucket."""

_NAME = re.compile(
    r"retention/([0-9a-z][0-9a-z-]*)/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(-lifted)?\.json"
)


@dataclass(frozen=True, slots=True)
class LimitSet(Strict):
    """A limit of ``days`` from ``since`` on, for one purpose and one line (``None``: any).  With
    ``covers_consents`` it also limits what was consented to before ``since``, in the call or later; without
    it, that lasts until its own end."""

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
class LimitLifted(Strict):
    """The end of a limit: recordings made from ``at`` on are kept as announced again.  ``set_sha256`` is the
    hex SHA-256 of the statement that set the limit ``id``."""

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
        raise SealError(
            "seal.field",
            "retention limit.body.by names no user with an id, and not the operator",
            hints.DOCUMENT,
        )


SET: Final = signed_document.Kind(
    "accord-retention-limit", "retention limit", signing.RETENTION, Form[LimitSet](LimitSet),
    signed_at="since", check=_check,
)  # fmt: skip
LIFTED: Final = signed_document.Kind(
    "accord-retention-limit-lifted", "lifted retention limit", signing.RETENTION,
    Form[LimitLifted](LimitLifted), check=_check,
)  # fmt: skip


def place_of(tenant: str, limit: str, *, lifted: bool = False) -> str:
    """Return a statement's key in the bucket."""
    return f"{FOLDER}{key_part(tenant)}/{key_part(limit)}{'-lifted' if lifted else ''}.json"


def parse_place(key: str) -> tuple[str, str, bool] | None:
    """Return the tenant and the limit in a bucket key, and whether it is a lifting; ``None`` for any other
    key."""
    found = _NAME.fullmatch(key)
    return None if found is None else (found[1], found[2], found[3] is not None)


def write(statement: LimitSet | LimitLifted, signer: signing.Signer) -> bytes:
    """Sign a statement.  Raises :class:`SealError` (``seal.endorsement_use``,
    ``seal.endorsement_time``)."""
    if isinstance(statement, LimitSet):
        return SET.write(statement, signer)
    return LIFTED.write(statement, signer)


def open_set(content: bytes, root: Ed25519PublicKey) -> tuple[LimitSet, str]:
    """Read the statement that sets a limit and verify it from the root's public key alone; return it with the
    id of the signing key.  Raises :class:`SealError`."""
    signed = SET.read(content, root)
    return signed.value, signed.key_id


def open_lifted(content: bytes, root: Ed25519PublicKey) -> tuple[LimitLifted, str]:
    """Read the statement that lifts a limit, as :func:`open_set`."""
    signed = LIFTED.read(content, root)
    return signed.value, signed.key_id


def sha256_of(content: bytes) -> str:
    """Return the hex SHA-256 by which leaves and liftings refer to a statement."""
    return hashlib.sha256(content).hexdigest()
