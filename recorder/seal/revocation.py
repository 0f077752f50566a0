"""The root takes an endorsement back: a signing key counts no more from a time on.

::

    {"body": {"type": "accord-revocation", "version": 1, "key_id": ..., "since": ..., "root_key_id": ...},
     "signature": ...}

The document lies among the keys, and goes with the root's public key to whoever checks.  What is dated
before that time stays believed: the key was its owner's then.  But whoever has the key can date back.  So
where there is a catalogue, an amendment by such a key is believed only if it was known before that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.clock import to_iso
from recorder.errors import ConfigError, SealError
from recorder.seal import canonical_json
from recorder.seal.amendment import Amendment, name
from recorder.seal.amendment_chain import Chain
from recorder.seal.sealing import NAME
from recorder.seal.signing import key_id, verify
from recorder.strict_json import STRICT, Form, Time, b64

SUFFIX = ".revocation.json"

_HINT = "bring it back from its copy (`accord keys restore`), or sign it again with `accord keys revoke`"

Revoked = Mapping[str, datetime]
"""Ids of signing keys, and since when each counts no more."""


Known = Mapping[str, datetime | None]
"""SHA-256 of each amendment of a recording that a catalogue knows, and when its log says that it was listed;
``None`` where the log does not say (a rebuild listed it)."""


def nothing() -> Revoked:
    """No key was revoked."""
    return {}


@dataclass(frozen=True, slots=True)
class Trust:
    """What signed statements are checked with: the root's public key, and the keys that it took back."""

    root: Ed25519PublicKey
    revoked: Callable[[], Revoked] = nothing


def doubt(amendment: Amendment, revoked: Revoked, seen: Callable[[], Known] | None = None) -> str | None:
    """Why an amendment is not believed, by who signed it and when; ``None`` where it is.  ``seen`` says what
    the catalogue knows of the recording, and is asked only where that matters; without it dates are
    believed."""
    key = amendment.signing_key_id
    since = revoked.get(key)
    if since is None:
        return None
    what = f"key {key}, which signed it, was revoked from {to_iso(since)} on"
    if amendment.at >= since:
        return what
    if seen is None:
        return None
    known = seen()
    if amendment.sha256 not in known:
        return f"{what}; it is dated {to_iso(amendment.at)}, and nothing shows that it was there then"
    listed = known[amendment.sha256]
    if listed is not None and listed >= since:
        return f"{what}; it is dated {to_iso(amendment.at)}, and was listed at {to_iso(listed)}"
    return None


def is_doubtful(key: str, signed_at: datetime, listed_at: datetime | None, revoked: Revoked) -> bool:
    """Whether a statement by a key is not believed: it is dated, or the log lists it, after the key was
    revoked. ``listed_at`` ``None``: a rebuild listed it, and an operator answered for its date."""
    since = revoked.get(key)
    return since is not None and (signed_at >= since or (listed_at is not None and listed_at >= since))


def signed_since(
    chain: Chain, revoked: Revoked, seen: Callable[[], Known] | None = None
) -> Iterator[tuple[str, str]]:
    """Of a recording's documents, the names of those that a revoked key signed since (see :func:`doubt`),
    each with what that means."""
    manifest = chain.manifest
    since = revoked.get(manifest.signing_key_id)
    if since is not None and manifest.sealed_at >= since:
        what = f"key {manifest.signing_key_id}, which signed it, was revoked from {to_iso(since)} on"
        yield NAME, what
    for each in chain.amendments:
        if (why := doubt(each, revoked, seen)) is not None:
            yield name(each.number), why


def check(
    chain: Chain, revoked: Revoked, seen: Callable[[], Known] | None = None, *, amendments: bool = False
) -> None:
    """Raises :class:`SealError` (``seal.key_revoked``) where a recording has a document that a revoked key
    signed since (see :func:`doubt`); with ``amendments`` only these count."""
    for document, what in signed_since(chain, revoked, seen):
        if amendments and document == NAME:
            continue
        refuse(document, what)


def refuse(document: str, what: str) -> NoReturn:
    """Raises :class:`SealError` (``seal.key_revoked``): a document is not believed."""
    hint = 'who had that key then? docs/operate.md, "Keys that somebody else has had"'
    raise SealError("seal.key_revoked", f"{document}: {what}", hint)


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


@dataclass(frozen=True, slots=True)
class Revocation:
    """The body of the document."""

    __pydantic_config__ = STRICT

    key_id: str
    since: Time
    root_key_id: str


_REVOCATION: Final = Form[Revocation](Revocation)
_CONSTANTS: Final[Mapping[str, str | int]] = {"type": "accord-revocation", "version": 1}


def revoke(root: Ed25519PrivateKey, key: str, since: datetime) -> bytes:
    """The document that revokes a key."""
    body = {**_CONSTANTS, **_REVOCATION.write(Revocation(key, since, key_id(root.public_key())))}
    return canonical_json.dump({"body": body, "signature": b64(root.sign(canonical_json.dump(body)))})


def read(content: bytes, root: Ed25519PublicKey) -> tuple[str, datetime]:
    """Which key a document revokes, and since when.  Raises :class:`SealError`."""
    document = canonical_json.load(content, "revocation")
    body, signed = canonical_json.members(document, "revocation", "body", "signature")
    signature = canonical_json.read_bytes(signed, 64, "revocation.signature")
    fields = canonical_json.take_constants(body, "revocation.body", _CONSTANTS)
    found = canonical_json.read(_REVOCATION, fields, "revocation.body")
    if found.root_key_id != key_id(root) or not verify(root, signature, body):
        raise SealError("seal.revocation", "the root did not sign this revocation")
    return found.key_id, found.since


def read_all(paths: Iterable[Path], root: Ed25519PublicKey) -> dict[str, datetime]:
    """Keys that some files revoke, each since the earliest time that one says.  Raises
    :class:`ConfigError`."""
    found: dict[str, datetime] = {}
    for path in paths:
        try:
            key, since = read(path.read_bytes(), root)
        except (OSError, SealError) as error:
            raise ConfigError("keys.bad_revocation", f"{path} is no revocation: {error}", _HINT) from error
        found[key] = min(since, found.get(key, since))
    return found
