"""A signed document: what manifests and amendments have in common.

::

    {"body": {...},
     "endorsement": {...},
     "signatures": [{"algorithm": "Ed25519", "key_id": ..., "signature": ...}]}

in RFC 8785 form; the signature is over the RFC 8785 form of ``body``, and ``type`` lies in the body, so
that a signature over one kind of document is none over another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.seal import canonical_json, signing
from recorder.seal.canonical_json import Fields

CLOCK_SLACK = timedelta(minutes=5)
"""How far in the future a seal may lie before it is refused: clocks differ a little."""


def write(body: Mapping[str, Any], signer: signing.Signer) -> bytes:
    """The document's bytes, signed."""
    return canonical_json.dump(
        {
            "body": dict(body),
            "endorsement": signer.endorsement.document(),
            "signatures": [
                {
                    "algorithm": "Ed25519",
                    "key_id": signer.key_id,
                    "signature": canonical_json.b64(signer.sign(body)),
                }
            ],
        }
    )


def read(
    content: bytes,
    what: str,
    root: Ed25519PublicKey,
    use: str | Callable[[object], str],
    signed_at: str,
    largest: int,
) -> tuple[Any, str]:
    """The body of a document and the id of the key that signed it.

    ``what`` names the document in errors, ``use`` is what the key must be endorsed for, or tells it from the
    body; ``signed_at`` is the body's field with the time of signing, ``largest`` the longest length in
    bytes.  Raises :class:`SealError`, in this order: form (``seal.not_json``, ``seal.duplicate_field``,
    ``seal.not_canonical``), the envelope's fields, the endorsement (``seal.endorsement_…``),
    ``seal.signature``.  The body is read by
    the caller.
    """
    if len(content) > largest:
        raise SealError("seal.not_json", f"the {what} is larger than any {what} is")
    fields = Fields(canonical_json.load(content, what), what)
    body = fields.take("body")
    endorsement = signing.Endorsement.from_fields(fields.fields("endorsement"))
    signatures = fields.each("signatures")
    fields.end()
    if len(signatures) != 1:
        raise SealError("seal.field", f"{what}.signatures is not one signature")
    (given,) = signatures
    given.const("algorithm", "Ed25519")
    key_id, signature = given.text("key_id"), given.binary("signature", 64)
    given.end()
    at = Fields(body, f"{what}.body").time(signed_at)
    public = endorsement.check(root, use if isinstance(use, str) else use(body), at)
    if key_id != endorsement.key_id or not signing.verify(public, signature, body):
        raise SealError(
            "seal.signature",
            f"the {what}'s signature is wrong: it was changed after it was sealed, or signed by another key",
        )
    return body, key_id


def check_not_future(what: str, signed_at: datetime, now: datetime | None) -> None:
    """Refuse a seal from the future, where ``now`` is given.  Raises :class:`SealError`
    (``seal.from_the_future``)."""
    if now is not None and signed_at > now + CLOCK_SLACK:
        raise SealError(
            "seal.from_the_future",
            f"the {what} says it was sealed at {to_iso(signed_at)}, which is not yet",
            "is this machine's clock right?",
        )
