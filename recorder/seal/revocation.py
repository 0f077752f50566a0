"""The root takes an endorsement back: a signing key counts no more from a time on.

::

    {"body": {"type": "accord-revocation", "version": 1, "key_id": ..., "since": ..., "root_key_id": ...},
     "signature": ...}

The document lies among the keys, and goes with the root's public key to whoever checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.clock import to_iso
from recorder.errors import ConfigError, SealError
from recorder.seal import canonical
from recorder.seal.canonical import Fields
from recorder.seal.signing import key_id, verify

SUFFIX = ".revocation.json"


def revoke(root: Ed25519PrivateKey, key: str, since: datetime) -> bytes:
    """The document that revokes a key."""
    body = {
        "type": "accord-revocation",
        "version": 1,
        "key_id": key,
        "since": to_iso(since),
        "root_key_id": key_id(root.public_key()),
    }
    return canonical.dump({"body": body, "signature": canonical.b64(root.sign(canonical.dump(body)))})


def read(content: bytes, root: Ed25519PublicKey) -> tuple[str, datetime]:
    """Which key a document revokes, and since when.  Raises :class:`SealError`."""
    fields = Fields(canonical.load(content, "revocation"), "revocation")
    body = fields.take("body")
    signature = fields.binary("signature", 64)
    fields.end()
    inner = Fields(body, "revocation.body")
    inner.const("type", "accord-revocation")
    inner.const("version", 1)
    found = inner.text("key_id"), inner.time("since")
    by = inner.text("root_key_id")
    inner.end()
    if by != key_id(root) or not verify(root, signature, body):
        raise SealError("seal.revocation", "the root did not sign this revocation")
    return found


def read_all(paths: Iterable[Path], root: Ed25519PublicKey) -> dict[str, datetime]:
    """Keys that some files revoke, each since the earliest time that one says.  Raises
    :class:`ConfigError`."""
    found: dict[str, datetime] = {}
    for path in paths:
        try:
            key, since = read(path.read_bytes(), root)
        except (OSError, SealError) as error:
            raise ConfigError("keys.bad_revocation", f"{path} is no revocation: {error}", "") from error
        found[key] = min(since, found.get(key, since))
    return found
