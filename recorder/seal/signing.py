"""Signatures: the root endorses signing keys, and a signing key signs.

An endorsement is a small signed document::

    {"body": {"type": "accord-endorsement", "version": 1, "algorithm": "Ed25519", "key_id": ...,
              "public_key": ..., "uses": ["manifest", "amendment"], "not_before": ..., "not_after": ...,
              "root_key_id": ...},
     "signature": ...}

Signed bytes are the RFC 8785 form of ``body``; because of ``type``, a signature over one kind of document is
invalid for another.  Ed25519 is RFC 8032; keys on disk are PEM (PKCS 8, RFC 8410), which openssl reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from recorder.clock import to_iso
from recorder.errors import ConfigError, SealError
from recorder.ids import Entropy
from recorder.seal import canonical_json
from recorder.seal.keyring import BRING_BACK, keys_exist, read_private, write_private
from recorder.spool.atomic_files import give_to_owner
from recorder.strict_json import Form, Key, Strict, Time, b64

MANIFEST: Final = "manifest"
AMENDMENT: Final = "amendment"
"""Every amendment but a tombstone."""
TOMBSTONE: Final = "tombstone"
"""The amendment that a recording is erased."""
RECEIPT: Final = "receipt"
"""The receipt of an erasure; it decides nothing."""
CHECKPOINT: Final = "checkpoint"
RETENTION: Final = "retention"
"""A customer's own retention limits."""
OFFBOARDING: Final = "offboarding"
"""A customer's offboarding: the statements, the order to erase everything, and the receipt."""
CALL_ERASURE: Final = "call_erasure"
"""The erasure of calls without a recording, at a person's request."""
CREDENTIAL: Final = "credential"
"""Users of the panel, their second factors and permissions, API tokens, and the provider's branding."""
COMMAND: Final = "command"
"""A command for a live call, by a user or a program."""
DISCLOSURE: Final = "disclosure"
"""The disclosure of a recording to the recorded person."""

USES: Final = (
    MANIFEST, AMENDMENT, TOMBSTONE, RECEIPT, CHECKPOINT, RETENTION, OFFBOARDING, CALL_ERASURE, CREDENTIAL,
    COMMAND, DISCLOSURE,
)  # fmt: skip
"""The kinds of documents that a signing key can be endorsed for. A document by a key that is not endorsed for
its kind is refused. The worker's key is endorsed for all."""

PANEL_USES: Final = (AMENDMENT, RECEIPT, RETENTION, CALL_ERASURE, COMMAND, DISCLOSURE, CREDENTIAL)
"""The uses of the panel's key: it cannot seal or erase recordings, or offboard customers."""

ROOT_KEY = "root.key"
ROOT_PUBLIC = "root.pub"
KEK = "kek"
SIGNING_KEY = "manifest.key"
ENDORSEMENT = "manifest.endorsement.json"
PANEL_KEY = "panel.key"
PANEL_ENDORSEMENT = "panel.endorsement.json"
"""The endorsement of the panel's key, for :data:`PANEL_USES` only."""

KEY_FILES: Final = (ROOT_KEY, ROOT_PUBLIC, KEK, SIGNING_KEY, ENDORSEMENT, PANEL_KEY, PANEL_ENDORSEMENT)
"""The files that :func:`init` creates."""

YEARS = 2
"""Years that a new endorsement lasts."""


@dataclass(frozen=True, slots=True)
class EndorsedKey(Strict):
    """The root's statement about a signing key: its ``uses``, and the time in which it may sign."""

    key_id: str
    public_key: Key
    uses: tuple[str, ...]
    not_before: Time
    not_after: Time
    root_key_id: str


_KEY: Final = Form[EndorsedKey](EndorsedKey)
_ENDORSE: Final = (
    "bring the endorsement back from its copy (`accord key restore`), or endorse a new signing key: "
    "`accord key renew`"
)
_CONSTANTS: Final[Mapping[str, str | int]] = {
    "type": "accord-endorsement",
    "version": 1,
    "algorithm": "Ed25519",
}


@dataclass(frozen=True, slots=True)
class Endorsement(EndorsedKey):
    """A signed endorsement: ``signature`` is the root's, over the other fields."""

    signature: bytes

    def body(self) -> dict[str, Any]:
        """Return the signed fields."""
        key = EndorsedKey(**{name: getattr(self, name) for name in _KEY.names})
        return {**_CONSTANTS, **_KEY.write(key)}

    def document(self) -> dict[str, Any]:
        """Return the endorsement as it is stored, and as every signed document includes it."""
        return {"body": self.body(), "signature": b64(self.signature)}

    @classmethod
    def read(cls, document: object, where: str = "endorsement") -> Endorsement:
        """Read an endorsement without checking its signature; ``where`` is its path in errors.  Raises
        :class:`SealError`."""
        body, signature = canonical_json.members(document, where, "body", "signature")
        signed = canonical_json.read_bytes(signature, 64, f"{where}.signature")
        fields = canonical_json.take_constants(body, f"{where}.body", _CONSTANTS)
        key = canonical_json.read(_KEY, fields, f"{where}.body")
        if not key.uses or not set(key.uses) <= set(USES):
            raise SealError(
                "seal.endorsement_use",
                f"key {key.key_id} is endorsed for a use unknown to this version: {list(key.uses)}",
                "endorse a new signing key with the root: `accord key renew`",
            )
        return cls(**{name: getattr(key, name) for name in _KEY.names}, signature=signed)

    def check(self, root: Ed25519PublicKey, use: str, at: datetime) -> Ed25519PublicKey:
        """Return the signing key if the root endorsed it for this use at this time.

        Raises :class:`SealError`: ``seal.endorsement_root`` (another root), ``seal.endorsement_signature``,
        ``seal.endorsement_key`` (its id is not its hash), ``seal.endorsement_use``,
        ``seal.endorsement_time``.
        """
        public = self.check_root(root)
        self.check_use(use, at)
        return public

    def check_root(self, root: Ed25519PublicKey) -> Ed25519PublicKey:
        """Return the signing key if the root signed this endorsement.  Raises :class:`SealError` as
        :meth:`check`."""
        return _check_root(self, raw_public(root))

    def check_use(self, use: str, at: datetime) -> None:
        """Check that the key may be used so at that time.  Raises :class:`SealError`
        (``seal.endorsement_use``, ``seal.endorsement_time``)."""
        if use not in self.uses:
            raise SealError(
                "seal.endorsement_use",
                f"key {self.key_id} is endorsed for {', '.join(self.uses)}, not for {use}",
                "endorse a new signing key with the root: `accord key renew`",
            )
        if not self.not_before <= at <= self.not_after:
            raise SealError(
                "seal.endorsement_time",
                f"key {self.key_id} was endorsed from {to_iso(self.not_before)} to {to_iso(self.not_after)}, "
                f"and signed at {to_iso(at)}",
                "endorse a new signing key with the root: `accord key renew`",
            )


@lru_cache(maxsize=256)
def _check_root(endorsement: Endorsement, root_bytes: bytes) -> Ed25519PublicKey:
    """See :meth:`Endorsement.check_root`. Every document of a key repeats its endorsement: what was found is
    remembered."""
    root = Ed25519PublicKey.from_public_bytes(root_bytes)
    if endorsement.root_key_id != key_id(root):
        raise SealError(
            "seal.endorsement_root",
            f"the signing key is endorsed by root {endorsement.root_key_id}, not by {key_id(root)}",
            "give the root's public key of that installation",
        )
    try:
        root.verify(endorsement.signature, canonical_json.dump(endorsement.body()))
    except InvalidSignature:
        raise SealError(
            "seal.endorsement_signature", "the endorsement is not signed by the root", _ENDORSE
        ) from None
    public = Ed25519PublicKey.from_public_bytes(endorsement.public_key)
    if endorsement.key_id != key_id(public):
        raise SealError("seal.endorsement_key", "the endorsed key's id does not match the key", _ENDORSE)
    return public


class Signer:
    """A signing key with its endorsement."""

    def __init__(self, key: Ed25519PrivateKey, endorsement: Endorsement) -> None:
        if raw_public(key.public_key()) != endorsement.public_key:
            raise ConfigError(
                "keys.endorsement_mismatch",
                "the endorsement belongs to another signing key",
                "give the endorsement that was made with this key",
            )
        self._key = key
        self.endorsement = endorsement
        self.key_id = endorsement.key_id

    def check(self, use: str, at: datetime) -> None:
        """Check that verifiers will accept this use.  Raises :class:`SealError`
        (``seal.endorsement_use``, ``seal.endorsement_time``)."""
        self.endorsement.check_use(use, at)

    def sign(self, body: Mapping[str, Any]) -> bytes:
        """Sign the RFC 8785 form of ``body`` (Ed25519)."""
        return self._key.sign(canonical_json.dump(body))

    def sign_note(self, text: str) -> bytes:
        """Sign the text of a signed note (C2SP, Ed25519). A text that begins like JSON could be a document of
        Accord's: raises ``ValueError``."""
        if text.startswith("{"):
            raise ValueError("a note must not begin like a JSON document")
        return self._key.sign(text.encode())


def verify(public: Ed25519PublicKey, signature: bytes, body: Mapping[str, Any]) -> bool:
    """Whether a signature over the RFC 8785 form of ``body`` is this key's."""
    try:
        public.verify(signature, canonical_json.dump(body))
    except InvalidSignature:
        return False
    return True


def key_id(public: Ed25519PublicKey) -> str:
    """Return a public key's id: the first 32 hex digits of SHA-256 over its 32 bytes."""
    return hashlib.sha256(raw_public(public)).hexdigest()[:32]


def raw_public(public: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def endorse(
    root: Ed25519PrivateKey,
    public: Ed25519PublicKey,
    uses: tuple[str, ...],
    not_before: datetime,
    not_after: datetime,
) -> Endorsement:
    """Endorse a signing key for some of :data:`USES` between two times.  Raises ``ValueError``."""
    if not uses or not set(uses) <= set(USES) or not_after <= not_before:
        raise ValueError("an endorsement is for known uses, and ends after it begins")
    unsigned = Endorsement(
        key_id=key_id(public),
        public_key=raw_public(public),
        uses=uses,
        not_before=not_before.replace(microsecond=0),
        not_after=not_after.replace(microsecond=0),
        root_key_id=key_id(root.public_key()),
        signature=b"",
    )
    return replace(unsigned, signature=root.sign(canonical_json.dump(unsigned.body())))


def init(folder: Path, now: datetime, entropy: Entropy = os.urandom) -> list[Path]:
    """Create the root, the worker's and the panel's signing keys with their endorsements, and a
    key-encryption key.

    Returns the files.  Writes all of them or none, and nothing where any of them exists.  ``root.key`` can
    then be moved offline.  Raises :class:`ConfigError` (``keys.exists``), ``OSError``.
    """
    check_none(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = Ed25519PrivateKey.from_private_bytes(entropy(32))
    signing = Ed25519PrivateKey.from_private_bytes(entropy(32))
    endorsement = _endorse(root, signing, USES, now)
    panel = Ed25519PrivateKey.from_private_bytes(entropy(32))
    for_panel = _endorse(root, panel, PANEL_USES, now)
    with ExitStack() as cleanup:
        for name, content, mode in (
            (ROOT_KEY, private_pem(root), 0o600),
            (ROOT_PUBLIC, public_pem(root.public_key()), 0o644),
            (KEK, canonical_json.b64_line(entropy(32)), 0o600),
            (SIGNING_KEY, private_pem(signing), 0o600),
            (ENDORSEMENT, canonical_json.dump(endorsement.document()), 0o644),
            (PANEL_KEY, private_pem(panel), 0o600),
            (PANEL_ENDORSEMENT, canonical_json.dump(for_panel.document()), 0o644),
        ):
            write_private(folder / name, content, mode)
            cleanup.callback((folder / name).unlink)
            if name != ROOT_KEY:  # nobody needs it here
                give_to_owner(folder / name)
        cleanup.pop_all()
    return [folder / name for name in KEY_FILES]


def check_none(folder: Path) -> None:
    """Raises :class:`ConfigError` (``keys.exists``) where a folder has any of the files of :func:`init`."""
    if there := [folder / name for name in KEY_FILES if (folder / name).exists()]:
        raise keys_exist(there)


def renew(folder: Path, root: Ed25519PrivateKey, now: datetime, entropy: Entropy = os.urandom) -> list[Path]:
    """Create new signing keys for the worker and the panel, endorsed by the root; existing files of the
    former keys are kept under their key ids. Returns the files. Raises :class:`ConfigError`."""
    return [
        *_renew(folder, (SIGNING_KEY, ENDORSEMENT), root, USES, now, entropy),
        *_renew(folder, (PANEL_KEY, PANEL_ENDORSEMENT), root, PANEL_USES, now, entropy),
    ]


def _renew(
    folder: Path,
    names: tuple[str, str],
    root: Ed25519PrivateKey,
    uses: tuple[str, ...],
    now: datetime,
    entropy: Entropy,
) -> list[Path]:
    key, endorsed = names
    if (folder / endorsed).exists():
        old = load_endorsement(folder / endorsed).key_id
    elif (folder / key).exists():
        old = key_id(load_private(folder / key).public_key())
    else:
        old = ""
    signing = Ed25519PrivateKey.from_private_bytes(entropy(32))
    endorsement = _endorse(root, signing, uses, now)
    with ExitStack() as cleanup:
        # Both before either is replaced: a key with another's endorsement signs nothing.
        for name, content, mode in (
            (key, private_pem(signing), 0o600),
            (endorsed, canonical_json.dump(endorsement.document()), 0o644),
        ):
            fresh = folder / f".{name}.new"
            fresh.unlink(missing_ok=True)
            write_private(fresh, content, mode)
            cleanup.callback(fresh.unlink)
            give_to_owner(fresh)
        cleanup.pop_all()
    for name in names:
        copy = folder / f"{old}.{name}"
        # It exists already after an interrupted renewal.
        if (folder / name).exists() and not copy.exists():
            os.link(folder / name, copy)
        os.replace(folder / f".{name}.new", folder / name)
    return [folder / name for name in names]


def load_signer(key: Path, endorsement: Path, root: Ed25519PublicKey | None = None) -> Signer:
    """Load a signing key and its endorsement.  With ``root``, the endorsement must be signed by it: the file
    could have been changed.  Raises :class:`ConfigError`."""
    endorsed = load_endorsement(endorsement)
    if root is not None:
        try:
            endorsed.check_root(root)
        except SealError as error:
            raise ConfigError(
                "keys.bad_endorsement",
                f"{endorsement}: {error.message}",
                "copy root.pub and the signing key of this installation (docs/keys.md); with its root key, "
                "`accord key renew` creates a new one",
            ) from error
    return Signer(load_private(key), endorsed)


def load_private(path: Path) -> Ed25519PrivateKey:
    """Load an Ed25519 private key from a PEM file that only its owner can read. Raises
    :class:`ConfigError`."""
    return parse_private(read_private(path), path)


def parse_private(content: bytes, path: Path) -> Ed25519PrivateKey:
    """Parse an Ed25519 private key in PEM; ``path`` is the source in errors.  Raises :class:`ConfigError`."""
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise _bad_key(path, "private", error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad_key(path, "private", TypeError("another kind of key"))
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """Load an Ed25519 public key from a PEM file.  Raises :class:`ConfigError`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise _bad_key(path, "public", error) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _bad_key(path, "public", TypeError("another kind of key"))
    return key


def load_endorsement(path: Path) -> Endorsement:
    """Load an endorsement from a file; its signature is checked when it is used.  Raises
    :class:`ConfigError`."""
    try:
        body = canonical_json.load(path.read_bytes(), "endorsement")
        return Endorsement.read(body)
    except (OSError, SealError) as error:
        raise ConfigError(
            "keys.bad_endorsement",
            f"{path} is no endorsement: {error}",
            "create a new one: `accord key renew`",
        ) from error


def public_pem(public: Ed25519PublicKey) -> bytes:
    """Return a public key in PEM (SubjectPublicKeyInfo)."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key in PEM (PKCS #8), unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _endorse(
    root: Ed25519PrivateKey, signing: Ed25519PrivateKey, uses: tuple[str, ...], now: datetime
) -> Endorsement:
    # A minute earlier: another machine's clock may be slightly behind.
    begin = now - timedelta(minutes=1)
    return endorse(root, signing.public_key(), uses, begin, now + timedelta(days=365 * YEARS))


def _bad_key(path: Path, kind: str, error: Exception) -> ConfigError:
    return ConfigError(
        "keys.bad_key",
        f"{path} is no Ed25519 {kind} key in PEM: {error}",
        f"of root.pub and root.key, {BRING_BACK}: no other root is trusted; `accord key renew` creates new "
        "signing keys with the root's key",
    )
