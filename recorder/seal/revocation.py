"""The root takes an endorsement back: a signing key counts no more from a time on.

::

    {"body": {"type": "accord-revocation", "version": 1, "key_id": ..., "since": ..., "root_key_id": ...},
     "signature": ...}

The document lies among the keys, and goes with the root's public key to whoever checks.  What is dated
before that time stays believed: the key was its owner's then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.clock import to_iso
from recorder.errors import ConfigError, SealError
from recorder.seal import canonical
from recorder.seal.amendment import name
from recorder.seal.canonical import Fields
from recorder.seal.chain import Chain
from recorder.seal.manifest import NAME
from recorder.seal.signing import key_id, verify

SUFFIX = ".revocation.json"

Revoked = Mapping[str, datetime]
"""Ids of signing keys, and since when each counts no more."""


def nothing() -> Revoked:
    """No key was revoked."""
    return {}


def signed_since(chain: Chain, revoked: Revoked) -> Iterator[tuple[str, str]]:
    """Of a recording's documents, the names of those that a revoked key signed since, each with what that
    means."""
    manifest = chain.manifest
    signed = [(NAME, manifest.signing_key_id, manifest.sealed_at)]
    signed += [(name(each.number), each.signing_key_id, each.at) for each in chain.amendments]
    for document, key, at in signed:
        since = revoked.get(key)
        if since is not None and at >= since:
            yield document, f"key {key}, which signed it, was revoked from {to_iso(since)} on"


def check(chain: Chain, revoked: Revoked, *, amendments: bool = False) -> None:
    """Raises :class:`SealError` (``seal.key_revoked``) where a recording has a document that a revoked key
    signed since; with ``amendments`` only these count."""
    for document, what in signed_since(chain, revoked):
        if amendments and document == NAME:
            continue
        raise SealError("seal.key_revoked", f"{document}: {what}", "who had that key then?")


class Revocations:
    """What a folder of keys says is revoked, read again whenever that changes: a revocation needs no
    restart."""

    def __init__(self, folder: Path, root: Ed25519PublicKey) -> None:
        self._folder = folder
        self._root = root
        self._seen: tuple[tuple[Path, int], ...] = ()
        self._read: Revoked = {}

    def __call__(self) -> Revoked:
        """Raises :class:`ConfigError` for a file that is no revocation."""
        seen = tuple((path, path.stat().st_mtime_ns) for path in sorted(self._folder.glob(f"*{SUFFIX}")))
        if seen != self._seen:
            self._read = read_all([path for path, _ in seen], self._root)
            self._seen = seen
        return self._read


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
