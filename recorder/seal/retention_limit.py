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
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.clock import to_iso
from recorder.seal import signed_document, signing
from recorder.seal.amendment import By
from recorder.seal.canonical_json import Fields
from recorder.seal.keyring import part

TYPE: Final = "accord-retention-limit"
TYPE_LIFTED: Final = "accord-retention-limit-lifted"
VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024
FOLDER: Final = "retention/"
"""Where the statements lie in the bucket."""

_NAME = re.compile(
    r"retention/([0-9a-z][0-9a-z-]*)/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(-lifted)?\.json"
)


@dataclass(frozen=True, slots=True)
class LimitSet:
    """At most ``days`` from ``since`` on, for one purpose, on one line (``None``: any).  ``agreements``:
    also what was agreed to be kept longer, in the call or later, before ``since``; otherwise that lasts
    until its own day."""

    tenant: str
    id: str
    purpose: str | None
    line: str | None
    days: int
    since: datetime
    agreements: bool
    by: By
    software: str = f"accord {__version__}"

    @property
    def signed_at(self) -> datetime:
        return self.since


@dataclass(frozen=True, slots=True)
class LimitLifted:
    """Recordings made from ``at`` on are kept as announced again.  ``set_sha256`` is the hex SHA-256 of the
    statement that set the limit ``id``."""

    tenant: str
    id: str
    set_sha256: str
    at: datetime
    by: By
    software: str = f"accord {__version__}"

    @property
    def signed_at(self) -> datetime:
        return self.at


def place_of(tenant: str, limit: str, *, lifted: bool = False) -> str:
    """Where a statement lies in the bucket."""
    return f"{FOLDER}{part(tenant)}/{part(limit)}{'-lifted' if lifted else ''}.json"


def parse_place(key: str) -> tuple[str, str, bool] | None:
    """The tenant and the limit that a place names, and whether it is that of a lifting; ``None`` for any
    other."""
    found = _NAME.fullmatch(key)
    return None if found is None else (found[1], found[2], found[3] is not None)


def write(statement: LimitSet | LimitLifted, signer: signing.Signer) -> bytes:
    """The statement, signed; read back before anything relies on it.  Raises :class:`SealError`
    (``seal.endorsement_use``, ``seal.endorsement_time``)."""
    body = _set_body(statement) if isinstance(statement, LimitSet) else _lifted_body(statement)
    signer.check(signing.RETENTION, statement.signed_at)
    if isinstance(statement, LimitSet):
        _read_set(body)
    else:
        _read_lifted(body)
    return signed_document.write(body, signer)


def open_set(content: bytes, root: Ed25519PublicKey) -> tuple[LimitSet, str]:
    """That a limit is set, verified from the root's public key alone, and the id of the key that signed
    it.  Raises :class:`SealError`."""
    body, key = signed_document.read(content, "retention limit", root, signing.RETENTION, "since", MAX_BYTES)
    return _read_set(body), key


def open_lifted(content: bytes, root: Ed25519PublicKey) -> tuple[LimitLifted, str]:
    """That a limit is lifted, as :func:`open_set`."""
    body, key = signed_document.read(
        content, "lifted retention limit", root, signing.RETENTION, "at", MAX_BYTES
    )
    return _read_lifted(body), key


def sha256_of(content: bytes) -> str:
    """The hex SHA-256 by which leaves and liftings name a statement."""
    return hashlib.sha256(content).hexdigest()


def _by(by: By) -> dict[str, str | None]:
    return {"kind": by.kind, "id": by.id}


def _read_by(fields: Fields) -> By:
    inner = fields.fields("by")
    who = By(inner.one_of("kind", ("operator", "user")), inner.optional_text("id"))
    inner.end()
    if (who.kind == "user") != (who.id is not None):
        fields.bad("by", "a user with an id, or the operator without one")
    return who


def _set_body(said: LimitSet) -> dict[str, Any]:
    return {
        "type": TYPE,
        "version": VERSION,
        "tenant": said.tenant,
        "id": said.id,
        "purpose": said.purpose,
        "line": said.line,
        "days": said.days,
        "since": to_iso(said.since),
        "agreements": said.agreements,
        "by": _by(said.by),
        "software": said.software,
    }


def _lifted_body(said: LimitLifted) -> dict[str, Any]:
    return {
        "type": TYPE_LIFTED,
        "version": VERSION,
        "tenant": said.tenant,
        "id": said.id,
        "set_sha256": said.set_sha256,
        "at": to_iso(said.at),
        "by": _by(said.by),
        "software": said.software,
    }


def _read_set(body: object) -> LimitSet:
    fields = Fields(body, "retention limit.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    read = LimitSet(
        tenant=fields.text("tenant"),
        id=fields.text("id"),
        purpose=fields.optional_text("purpose"),
        line=fields.optional_text("line"),
        days=fields.whole("days", 1),
        since=fields.time("since"),
        agreements=fields.truth("agreements"),
        by=_read_by(fields),
        software=fields.text("software"),
    )
    fields.end()
    return read


def _read_lifted(body: object) -> LimitLifted:
    fields = Fields(body, "lifted retention limit.body")
    fields.const("type", TYPE_LIFTED)
    fields.const("version", VERSION)
    read = LimitLifted(
        tenant=fields.text("tenant"),
        id=fields.text("id"),
        set_sha256=fields.sha256("set_sha256"),
        at=fields.time("at"),
        by=_read_by(fields),
        software=fields.text("software"),
    )
    fields.end()
    return read
