"""The revocation of a signing key by the root: from a time on, its signatures no longer count.

::

    {"body": {"type": "accord-revocation", "version": 1, "key_id": ..., "since": ..., "root_key_id": ...},
     "signature": ...}

The document is in the keys folder, and verifiers need it with the root's public key.  Statements dated before
that time stay valid, since the key was its owner's then. A thief of the key can backdate, so where there is a
catalogue, an amendment by a revoked key counts only if the catalogue listed it before that time.
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
from recorder.strict_json import Form, Strict, Time, b64

SUFFIX = ".revocation.json"

_HINT = "bring it back from its copy (`accord key restore`), or sign it again with `accord key revoke`"

Revoked = Mapping[str, datetime]
"""Ids of revoked signing keys, each with the time since when its signatures no longer count."""


Known = Mapping[str, datetime | None]
"""SHA-256 of each amendment of a recording in the catalogue, with the time of its leaf; ``None`` where there
is none because a rebuild listed it."""


def none_revoked() -> Revoked:
    """Return no revoked keys."""
    return {}


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust anchor of signed statements: the root's public key, and the keys that it revoked."""

    root: Ed25519PublicKey
    revoked: Callable[[], Revoked] = none_revoked


def find_doubt(
    amendment: Amendment, revoked: Revoked, load_known: Callable[[], Known] | None = None
) -> str | None:
    """Return why a revocation invalidates an amendment, or ``None``.  ``load_known`` returns the recording's
    amendments in the catalogue, and is called only where that matters; without it the amendment's date
    decides."""
    key = amendment.signing_key_id
    since = revoked.get(key)
    if since is None:
        return None
    what = f"key {key}, which signed it, was revoked from {to_iso(since)} on"
    if amendment.at >= since:
        return what
    if load_known is None:
        return None
    known = load_known()
    if amendment.sha256 not in known:
        return f"{what}; it is dated {to_iso(amendment.at)}, and no leaf shows that it existed then"
    listed = known[amendment.sha256]
    if listed is not None and listed >= since:
        return f"{what}; it is dated {to_iso(amendment.at)}, and was listed at {to_iso(listed)}"
    return None


def is_doubtful(key: str, signed_at: datetime, listed_at: datetime | None, revoked: Revoked) -> bool:
    """Whether a statement is invalid because it is dated, or was listed in the log, after its key was
    revoked. ``listed_at`` is ``None`` where a rebuild listed it and an operator confirmed its date."""
    since = revoked.get(key)
    return since is not None and (signed_at >= since or (listed_at is not None and listed_at >= since))


def check_signer(key: str, signed_at: datetime, what: str, revoked: Revoked, hint: str = "") -> None:
    """Refuse a statement that is dated after its key was revoked; ``what`` names it. Raises
    :class:`SealError` (``seal.key_revoked``)."""
    since = revoked.get(key)
    if since is not None and signed_at >= since:
        raise SealError(
            "seal.key_revoked", f"key {key}, which signed {what}, was revoked from {to_iso(since)} on", hint
        )


def find_revoked_documents(
    chain: Chain, revoked: Revoked, load_known: Callable[[], Known] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the names of a recording's documents that a revocation invalidates (see :func:`find_doubt`), each
    with the reason."""
    manifest = chain.manifest
    since = revoked.get(manifest.signing_key_id)
    if since is not None and manifest.sealed_at >= since:
        what = f"key {manifest.signing_key_id}, which signed it, was revoked from {to_iso(since)} on"
        yield NAME, what
    for each in chain.amendments:
        if (why := find_doubt(each, revoked, load_known)) is not None:
            yield name(each.number), why


def check(
    chain: Chain, revoked: Revoked, load_known: Callable[[], Known] | None = None, *, amendments: bool = False
) -> None:
    """Raises :class:`SealError` (``seal.key_revoked``) where a revocation invalidates one of a recording's
    documents (see :func:`find_doubt`); with ``amendments`` only amendments are checked."""
    for document, what in find_revoked_documents(chain, revoked, load_known):
        if amendments and document == NAME:
            continue
        refuse(document, what)


def refuse(document: str, what: str) -> NoReturn:
    """Raises :class:`SealError` (``seal.key_revoked``) for an invalid document."""
    hint = "who had that key then? see docs/keys.md, “Compromised signing keys”"
    raise SealError("seal.key_revoked", f"{document}: {what}", hint)


class Revocations:
    """The revocations in a keys folder, read again when they change: a revocation needs no restart."""

    def __init__(self, folder: Path, root: Ed25519PublicKey) -> None:
        self._folder = folder
        self._root = root
        self._file_times: tuple[tuple[Path, int], ...] = ()
        self._read: Revoked = {}

    def __call__(self) -> Revoked:
        """Return the revoked keys.  Raises :class:`ConfigError` for an invalid revocation file."""
        file_times = tuple(
            (path, path.stat().st_mtime_ns) for path in sorted(self._folder.glob(f"*{SUFFIX}"))
        )
        if file_times != self._file_times:
            self._read = read_all([path for path, _ in file_times], self._root)
            self._file_times = file_times
        return self._read


@dataclass(frozen=True, slots=True)
class Revocation(Strict):
    """The signed body."""

    key_id: str
    since: Time
    root_key_id: str


_REVOCATION: Final = Form[Revocation](Revocation)
_CONSTANTS: Final[Mapping[str, str | int]] = {"type": "accord-revocation", "version": 1}


def revoke(root: Ed25519PrivateKey, key: str, since: datetime) -> bytes:
    """Sign the revocation of a key."""
    body = {**_CONSTANTS, **_REVOCATION.write(Revocation(key, since, key_id(root.public_key())))}
    return canonical_json.dump({"body": body, "signature": b64(root.sign(canonical_json.dump(body)))})


def read(content: bytes, root: Ed25519PublicKey) -> tuple[str, datetime]:
    """Return the key that a document revokes, and since when.  Raises :class:`SealError`."""
    document = canonical_json.load(content, "revocation")
    body, signed = canonical_json.members(document, "revocation", "body", "signature")
    signature = canonical_json.read_bytes(signed, 64, "revocation.signature")
    fields = canonical_json.take_constants(body, "revocation.body", _CONSTANTS)
    found = canonical_json.read(_REVOCATION, fields, "revocation.body")
    if found.root_key_id != key_id(root) or not verify(root, signature, body):
        raise SealError("seal.revocation", "the revocation is not signed by the root", _HINT)
    return found.key_id, found.since


def read_all(paths: Iterable[Path], root: Ed25519PublicKey) -> dict[str, datetime]:
    """Return the keys that files revoke, each with its earliest time.  Raises :class:`ConfigError`."""
    found: dict[str, datetime] = {}
    for path in paths:
        try:
            key, since = read(path.read_bytes(), root)
        except (OSError, SealError) as error:
            raise ConfigError("keys.bad_revocation", f"{path} is no revocation: {error}", _HINT) from error
        found[key] = min(since, found.get(key, since))
    return found
