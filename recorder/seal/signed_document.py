"""The signed document: the common form of manifests, amendments and all other statements.

::

    {"body": {"type": ..., "version": 1, ..., "software": ...},
     "endorsement": {...},
     "signatures": [{"algorithm": "Ed25519", "key_id": ..., "signature": ...}]}

in RFC 8785 form.  The signature is over the RFC 8785 form of ``body``.  ``type`` is in the body, so that a
signature over one kind of document is invalid for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import canonical_json, hints, signing
from recorder.strict_json import Form, b64
from recorder.verified_state import VerifiedState

CLOCK_SLACK = timedelta(minutes=5)
"""How far in the future a document may be dated: clocks differ a little."""

SOFTWARE: Final = f"accord {__version__}"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Verified(VerifiedState, Generic[Value]):
    """The value of a verified document, the id of the signing key, and the time of signing."""

    value: Value
    key_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Kind(Generic[Value]):
    """A kind of document.

    ``name`` is its name in errors, ``use`` the endorsement that signing one takes (or a function that returns
    it for a body). ``form`` reads and writes the body's fields apart from ``type``, ``version`` and other
    ``constants``. ``signed_at`` is the field with the time of signing; this and ``software`` need not be
    fields of the value. ``largest`` is the maximum length in bytes. ``check`` refuses a contradictory value.
    """

    type: str
    name: str
    use: str | Callable[[object], str]
    form: Form[Value]
    signed_at: str = "at"
    largest: int = 16 * 1024
    check: Callable[[Value], None] = field(default=lambda _: None)
    constants: Mapping[str, object] = field(default_factory=dict)

    def write(self, value: Value, signer: signing.Signer, at: datetime | None = None) -> bytes:
        """Sign a value, so that :meth:`read` can read it; ``at`` is the time of signing, where the value has
        no such field. Raises :class:`SealError` (``seal.endorsement_use``, ``seal.endorsement_time``, or as
        :meth:`read_body`)."""
        body = self.body(value, at)
        _, signed_at = self.read_body(body)
        signer.check(self.use if isinstance(self.use, str) else self.use(body), signed_at)
        return write(body, signer)

    def body(self, value: Value, at: datetime | None = None) -> dict[str, Any]:
        """Return the signed fields."""
        time_fields = {} if at is None else {self.signed_at: to_iso(at)}
        return {**self._constants, "software": SOFTWARE, **time_fields, **self.form.write(value)}

    @property
    def _constants(self) -> dict[str, object]:
        return {"type": self.type, "version": 1, **self.constants}

    def read(self, content: bytes, root: Ed25519PublicKey) -> Verified[Value]:
        """Read a document and verify it from the root's public key alone.  Raises :class:`SealError` as
        :func:`read` and :meth:`read_body`."""
        body, key_id = read(content, self.name, root, self.use, self.signed_at, self.largest)
        value, at = self.read_body(body)
        return Verified(value, key_id, at)

    def read_body(self, body: object) -> tuple[Value, datetime]:
        """Return the value of a body, and the time of signing.  Raises :class:`SealError` (``seal.field``,
        ``seal.version``, ``seal.unknown_field``, ``seal.contradiction``)."""
        where = f"{self.name}.body"
        fields = canonical_json.take_constants(body, where, self._constants)
        at = canonical_json.read_time(fields.get(self.signed_at), f"{where}.{self.signed_at}")
        if not isinstance(fields.get("software"), str):
            raise SealError("seal.field", f"{where}.software is not a text", hints.DOCUMENT)
        for name in {self.signed_at, "software"} - self.form.names:
            del fields[name]
        value = canonical_json.read(self.form, fields, where)
        self.check(value)
        return value, at


def write(body: Mapping[str, Any], signer: signing.Signer) -> bytes:
    """Sign a body, and return the document's bytes."""
    signature = {"algorithm": "Ed25519", "key_id": signer.key_id, "signature": b64(signer.sign(body))}
    return canonical_json.dump(
        {"body": dict(body), "endorsement": signer.endorsement.document(), "signatures": [signature]}
    )


def read(
    content: bytes,
    what: str,
    root: Ed25519PublicKey,
    use: str | Callable[[object], str],
    signed_at: str,
    largest: int,
) -> tuple[Any, str]:
    """Verify a document, and return its body and the id of the signing key.

    ``what`` is the document's name in errors, ``use`` the endorsement that signing takes, or a function that
    returns it for a body. ``signed_at`` is the body's field with the time of signing, ``largest`` the maximum
    length in bytes. Raises :class:`SealError`, in this order: form (``seal.not_json``,
    ``seal.duplicate_field``, ``seal.not_canonical``), the envelope's fields, the endorsement
    (``seal.endorsement_…``), ``seal.signature``. The caller reads the body.
    """
    document = canonical_json.load(content, what, largest)
    body, endorsed, signatures = canonical_json.members(document, what, "body", "endorsement", "signatures")
    endorsement = _read_endorsement(endorsed, f"{what}.endorsement")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise SealError("seal.field", f"{what}.signatures is not a single signature", hints.DOCUMENT)
    where = f"{what}.signatures[0]"
    fields = canonical_json.take_constants(signatures[0], where, {"algorithm": "Ed25519"})
    key_id, encoded_signature = canonical_json.members(fields, where, "key_id", "signature")
    signature = canonical_json.read_bytes(encoded_signature, 64, f"{where}.signature")
    if not isinstance(body, dict):
        raise SealError("seal.field", f"{what}.body is not an object", hints.DOCUMENT)
    at = canonical_json.read_time(body.get(signed_at), f"{what}.body.{signed_at}")
    public = endorsement.check(root, use if isinstance(use, str) else use(body), at)
    if key_id != endorsement.key_id or not signing.verify(public, signature, body):
        raise SealError(
            "seal.signature",
            f"the {what}'s signature is wrong: it was changed after signing, or signed by another key",
            hints.DOCUMENT,
        )
    return body, endorsement.key_id


def _read_endorsement(document: object, where: str) -> signing.Endorsement:
    if isinstance(document, dict):
        return _parse_endorsement(canonical_json.dump(document), where)
    return signing.Endorsement.read(document, where)


@lru_cache(maxsize=256)
def _parse_endorsement(content: bytes, where: str) -> signing.Endorsement:
    """Every document of a key repeats its endorsement, which is parsed once."""
    return signing.Endorsement.read(canonical_json.load(content, where), where)


def check_not_future(what: str, signed_at: datetime, now: datetime | None) -> None:
    """Refuse a document dated in the future, where ``now`` is given.  Raises :class:`SealError`
    (``seal.from_the_future``)."""
    if now is not None and signed_at > now + CLOCK_SLACK:
        raise SealError(
            "seal.from_the_future",
            f"the {what} is dated {to_iso(signed_at)}, in the future",
            "check this machine's clock",
        )
