"""Amendment, version 1: what is learnt about a recording after it was sealed, signed, beside the manifest.

``amendment-0001.json``, ``amendment-0002.json`` … are signed documents (``document.py``).  Each names the
SHA-256 of the one before it, the first that of the manifest, so that none can be taken out of the middle,
exchanged or moved to another recording unnoticed.  They are put once: two nodes cannot both write a number.

The kinds are a closed set; each has data of its own:

===============  ==================================================================================
``erased``       the tombstone: why, whose key and which objects are gone, what remains
``hold_set``     it must not go, for which purposes, at whose wish and why, looked at again when
``hold_lifted``  which hold (its amendment's number) ended, and why
===============  ==================================================================================
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import document, signing
from recorder.seal.canonical import Fields

TYPE = "accord-amendment"
VERSION = 1
MAX_BYTES = 1024 * 1024
LAST = 9999
"""As many as there can be of one recording: names sort as numbers do."""

ERASED = "erased"
HOLD_SET = "hold_set"
HOLD_LIFTED = "hold_lifted"
WHYS = ("expired", "not_announced")
"""Why a recording was erased: its day came; its announcement was not found in its sound."""

_NAME = re.compile(r"amendment-([0-9]{4})\.json")


@dataclass(frozen=True, slots=True)
class By:
    """Who had it written down: ``system`` (a duty of the worker's), ``operator`` (the command line), or a
    ``user`` with their id.  Never a name: what is signed stays."""

    kind: str
    id: str | None = None


SYSTEM = By("system")


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that was deleted with every version."""

    name: str
    stored_sha256: str
    stored_length: int


@dataclass(frozen=True, slots=True)
class Erased:
    """``key_id`` is the id of the destroyed data key; ``remains`` names what still lies with the
    recording, beside this amendment."""

    why: str
    key_id: str
    objects: tuple[Gone, ...]
    remains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoldSet:
    """``owner`` is a user's id; ``review_at`` when it is looked at again, at the latest."""

    purposes: tuple[str, ...]
    owner: str
    reason: str
    review_at: datetime


@dataclass(frozen=True, slots=True)
class HoldLifted:
    """``hold`` is the number of the amendment that set it."""

    hold: int
    reason: str


Data = Erased | HoldSet | HoldLifted
KINDS: dict[type[Data], str] = {Erased: ERASED, HoldSet: HOLD_SET, HoldLifted: HOLD_LIFTED}


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
    software: str = f"accord {__version__}"
    signing_key_id: str = ""
    sha256: str = ""

    @property
    def kind(self) -> str:
        return KINDS[type(self.data)]


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
    """The amendment, signed; read back before anything relies on it.  Raises :class:`SealError`
    (``seal.endorsement_use`` where the key is not endorsed for amendments, ``seal.endorsement_time``)."""
    signer.check(signing.AMENDMENT, amendment.at)
    body = _to_body(amendment)
    _from_body(body, signer.key_id)
    return document.write(body, signer)


def open_amendment(content: bytes, root: Ed25519PublicKey, now: datetime | None = None) -> Amendment:
    """An amendment, verified from the root's public key alone.  Raises :class:`SealError` as
    :func:`manifest.open_manifest` does, and ``amendment.kind`` for one that this version does not know."""
    body, key_id = document.read(content, "amendment", root, signing.AMENDMENT, "at", MAX_BYTES)
    amendment = _from_body(body, key_id)
    document.check_not_future("amendment", amendment.at, now)
    return replace(amendment, sha256=hashlib.sha256(content).hexdigest())


def data_body(data: Data) -> dict[str, Any]:
    """An amendment's data as JSON: in its body, and in the catalogue."""
    if isinstance(data, Erased):
        objects = [
            {"name": o.name, "stored_sha256": o.stored_sha256, "stored_length": o.stored_length}
            for o in data.objects
        ]
        return {"why": data.why, "key": data.key_id, "objects": objects, "remains": list(data.remains)}
    if isinstance(data, HoldSet):
        return {
            "purposes": list(data.purposes),
            "owner": data.owner,
            "reason": data.reason,
            "review_at": to_iso(data.review_at),
        }
    return {"hold": data.hold, "reason": data.reason}


def _to_body(amendment: Amendment) -> dict[str, Any]:
    return {
        "type": TYPE,
        "version": VERSION,
        "recording": amendment.recording,
        "tenant": amendment.tenant,
        "number": amendment.number,
        "predecessor": amendment.predecessor,
        "kind": amendment.kind,
        "at": to_iso(amendment.at),
        "by": {"kind": amendment.by.kind, "id": amendment.by.id},
        "data": data_body(amendment.data),
        "software": amendment.software,
    }


def _from_body(body: object, signing_key_id: str) -> Amendment:
    fields = Fields(body, "amendment.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    kind = fields.text("kind")
    by, data = fields.fields("by"), fields.fields("data")
    who = By(by.one_of("kind", ("system", "operator", "user")), by.optional_text("id"))
    by.end()
    if (who.kind == "user") != (who.id is not None):
        fields.bad("by", "a user with an id, or somebody else without one")
    read = Amendment(
        recording=fields.text("recording"),
        tenant=fields.text("tenant"),
        number=fields.whole("number", 1),
        predecessor=fields.sha256("predecessor"),
        at=fields.time("at"),
        by=who,
        data=_data(kind, data),
        software=fields.text("software"),
        signing_key_id=signing_key_id,
    )
    data.end()
    fields.end()
    return read


def _data(kind: str, fields: Fields) -> Data:
    if kind == ERASED:
        return Erased(
            fields.one_of("why", WHYS),
            fields.text("key"),
            tuple(_gone(each) for each in fields.each("objects")),
            fields.texts("remains"),
        )
    if kind == HOLD_SET:
        return HoldSet(
            fields.texts("purposes"), fields.text("owner"), fields.text("reason"), fields.time("review_at")
        )
    if kind == HOLD_LIFTED:
        return HoldLifted(fields.whole("hold", 1), fields.text("reason"))
    raise SealError(
        "amendment.kind", f"{kind!r} is no kind of amendment that this Accord knows", "a newer one wrote it"
    )


def _gone(fields: Fields) -> Gone:
    read = Gone(fields.text("name"), fields.sha256("stored_sha256"), fields.whole("stored_length", 1))
    fields.end()
    return read
