"""Signatures: the root endorses signing keys, and a signing key signs.

An endorsement is a small signed document::

    {"body": {"type": "accord-endorsement", "version": 1, "algorithm": "Ed25519", "key_id": ...,
              "public_key": ..., "uses": ["manifest", "amendment"], "not_before": ..., "not_after": ...,
              "root_key_id": ...},
     "signature": ...}

Signed bytes are the RFC 8785 form of ``body``; ``type`` keeps a signature over one kind of document from
being one over another.  Ed25519 is RFC 8032; keys on disk are PEM (PKCS 8, RFC 8410), so that openssl
reads them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
from recorder.seal.keyring import BRING_BACK, exists, read_private, write_private
from recorder.strict_json import STRICT, Form, Key, Time, b64

MANIFEST: Final = "manifest"
AMENDMENT: Final = "amendment"
"""Every amendment but a tombstone."""
TOMBSTONE: Final = "tombstone"
"""The amendment that says a recording is erased."""
RECEIPT: Final = "receipt"
"""The receipt of an erased recording; it decides nothing."""
CHECKPOINT: Final = "checkpoint"
RETENTION: Final = "retention"
"""A customer's own retention limits."""
OFFBOARDING: Final = "offboarding"
"""That a customer leaves, that everything of theirs is to be erased, and the receipt that it is."""
CALL_ERASURE: Final = "call_erasure"
"""That calls without a recording were erased for the person who asked."""
CREDENTIAL: Final = "credential"
"""Who logs in to the panel, and which program uses the API."""
COMMAND: Final = "command"
"""What a person or program has done to a live call."""
DISCLOSURE: Final = "disclosure"
"""That a recording is given to the person who was recorded."""

USES: Final = (
    MANIFEST, AMENDMENT, TOMBSTONE, RECEIPT, CHECKPOINT, RETENTION, OFFBOARDING, CALL_ERASURE, CREDENTIAL,
    COMMAND, DISCLOSURE,
)  # fmt: skip
"""Kinds of statements that a signing key can be endorsed for.  A key signs no other kind, and a statement
signed by a key that is not endorsed for its kind is refused.  The worker's key is endorsed for all."""

PANEL_USES: Final = (AMENDMENT, RECEIPT, RETENTION, CALL_ERASURE, COMMAND, DISCLOSURE)
"""What the panel's key is endorsed for: it destroys nothing, offboards nobody, and lets nobody log in."""

ROOT_KEY = "root.key"
ROOT_PUBLIC = "root.pub"
KEK = "kek"
SIGNING_KEY = "manifest.key"
ENDORSEMENT = "manifest.endorsement.json"
PANEL_KEY = "panel.key"
PANEL_ENDORSEMENT = "panel.endorsement.json"
"""What the panel signs with: endorsed for :data:`PANEL_USES` alone."""

MADE: Final = (ROOT_KEY, ROOT_PUBLIC, KEK, SIGNING_KEY, ENDORSEMENT, PANEL_KEY, PANEL_ENDORSEMENT)
"""What :func:`init` makes."""

YEARS = 2
"""How long ``accord keys init`` endorses a signing key for."""


@dataclass(frozen=True, slots=True)
class EndorsedKey:
    """What the root says of a signing key: what it may sign (``uses``), and when."""

    __pydantic_config__ = STRICT

    key_id: str
    public_key: Key
    uses: tuple[str, ...]
    not_before: Time
    not_after: Time
    root_key_id: str


_KEY: Final = Form[EndorsedKey](EndorsedKey)
_CONSTANTS: Final[Mapping[str, str | int]] = {
    "type": "accord-endorsement",
    "version": 1,
    "algorithm": "Ed25519",
}


@dataclass(frozen=True, slots=True)
class Endorsement(EndorsedKey):
    """The same, signed: ``signature`` is the root's, over the other fields."""

    signature: bytes

    def body(self) -> dict[str, Any]:
        """What is signed."""
        key = EndorsedKey(**{name: getattr(self, name) for name in _KEY.names})
        return {**_CONSTANTS, **_KEY.write(key)}

    def document(self) -> dict[str, Any]:
        """The endorsement as it is stored and as it lies in every manifest."""
        return {"body": self.body(), "signature": b64(self.signature)}

    @classmethod
    def read(cls, document: object, where: str = "endorsement") -> Endorsement:
        """Read :meth:`document`; ``where`` is its path in errors.  Raises :class:`SealError`.  The signature
        is not yet checked."""
        body, signature = canonical_json.members(document, where, "body", "signature")
        signed = canonical_json.read_bytes(signature, 64, f"{where}.signature")
        fields = canonical_json.take_constants(body, f"{where}.body", _CONSTANTS)
        key = canonical_json.read(_KEY, fields, f"{where}.body")
        if not key.uses or not set(key.uses) <= set(USES):
            raise SealError(
                "seal.endorsement_use",
                f"key {key.key_id} is endorsed for a use that this version does not know: {list(key.uses)}",
                "endorse a new signing key with the root: `accord keys renew`",
            )
        return cls(**{name: getattr(key, name) for name in _KEY.names}, signature=signed)

    def check(self, root: Ed25519PublicKey, use: str, at: datetime) -> Ed25519PublicKey:
        """The signing key, where the root endorsed it for this use at this time.

        Raises :class:`SealError`: ``seal.endorsement_root`` (another root), ``seal.endorsement_signature``,
        ``seal.endorsement_key`` (its id is not its hash), ``seal.endorsement_use``,
        ``seal.endorsement_time``.
        """
        public = self.check_root(root)
        self.check_use(use, at)
        return public

    def check_root(self, root: Ed25519PublicKey) -> Ed25519PublicKey:
        """The signing key, where the root signed all that this says of it.  Raises :class:`SealError`."""
        if self.root_key_id != key_id(root):
            raise SealError(
                "seal.endorsement_root",
                f"the signing key is endorsed by root {self.root_key_id}, not by {key_id(root)}",
                "is this the root's public key of that installation?",
            )
        try:
            root.verify(self.signature, canonical_json.dump(self.body()))
        except InvalidSignature:
            raise SealError(
                "seal.endorsement_signature",
                "the root did not endorse this signing key: its signature is wrong",
            ) from None
        public = Ed25519PublicKey.from_public_bytes(self.public_key)
        if self.key_id != key_id(public):
            raise SealError("seal.endorsement_key", "the endorsed key's id is not that of the key")
        return public

    def check_use(self, use: str, at: datetime) -> None:
        """Whether it says that the key may be used so at that time.  Raises :class:`SealError`."""
        if use not in self.uses:
            raise SealError(
                "seal.endorsement_use",
                f"key {self.key_id} is endorsed for {', '.join(self.uses)}, not for {use}",
                "endorse a new signing key with the root: `accord keys renew`",
            )
        if not self.not_before <= at <= self.not_after:
            raise SealError(
                "seal.endorsement_time",
                f"key {self.key_id} was endorsed from {to_iso(self.not_before)} to {to_iso(self.not_after)}, "
                f"and signed at {to_iso(at)}",
                "endorse a new signing key with the root: `accord keys renew`",
            )


class Signer:
    """A signing key with its endorsement; what the worker holds."""

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
        """Refuse a use that no verifier would accept.  Raises :class:`SealError`
        (``seal.endorsement_use``, ``seal.endorsement_time``)."""
        self.endorsement.check_use(use, at)

    def sign(self, body: Mapping[str, Any]) -> bytes:
        """Ed25519 over the RFC 8785 form of ``body``."""
        return self._key.sign(canonical_json.dump(body))

    def sign_note(self, text: str) -> bytes:
        """Ed25519 over a signed note's text (C2SP).  It does not begin like a JSON document, so it is none of
        ours.  Raises ``ValueError`` where it does."""
        if text.startswith("{"):
            raise ValueError("a note does not begin like a document")
        return self._key.sign(text.encode())


def verify(public: Ed25519PublicKey, signature: bytes, body: Mapping[str, Any]) -> bool:
    """Whether the signature over the RFC 8785 form of ``body`` is this key's."""
    try:
        public.verify(signature, canonical_json.dump(body))
    except InvalidSignature:
        return False
    return True


def key_id(public: Ed25519PublicKey) -> str:
    """The first 32 hex digits of SHA-256 over the 32 bytes of the public key."""
    return hashlib.sha256(raw_public(public)).hexdigest()[:32]


def raw_public(public: Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key."""
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
    """Make a root, a signing key endorsed by it for all that it signs, one for what the
    panel signs, and a key-encryption key.

    Returns the files made.  Nothing is written where any of them exists.  ``root.key`` may then be moved
    to where no machine reads it.  Raises :class:`ConfigError`.
    """
    check_none(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = Ed25519PrivateKey.from_private_bytes(entropy(32))
    signing = Ed25519PrivateKey.from_private_bytes(entropy(32))
    endorsement = _endorse(root, signing, USES, now)
    panel = Ed25519PrivateKey.from_private_bytes(entropy(32))
    for_panel = _endorse(root, panel, PANEL_USES, now)
    write_private(folder / ROOT_KEY, private_pem(root))
    write_private(folder / ROOT_PUBLIC, public_pem(root.public_key()), 0o644)
    write_private(folder / KEK, canonical_json.b64_line(entropy(32)))
    write_private(folder / SIGNING_KEY, private_pem(signing))
    write_private(folder / ENDORSEMENT, canonical_json.dump(endorsement.document()), 0o644)
    write_private(folder / PANEL_KEY, private_pem(panel))
    write_private(folder / PANEL_ENDORSEMENT, canonical_json.dump(for_panel.document()), 0o644)
    return [folder / name for name in MADE]


def check_none(folder: Path) -> None:
    """Raises :class:`ConfigError` (``keys.exists``) where a folder has any of what :func:`init` makes."""
    if there := [folder / name for name in MADE if (folder / name).exists()]:
        raise exists(there)


def renew(folder: Path, root: Ed25519PrivateKey, now: datetime, entropy: Entropy = os.urandom) -> list[Path]:
    """Make new signing keys, the worker's and the panel's, endorsed by the root; the old ones' files are kept
    under their key ids, where they are not lost.  Returns the files made.  Raises :class:`ConfigError`."""
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
    key, said = names
    if (folder / said).exists():
        old = load_endorsement(folder / said).key_id
    elif (folder / key).exists():
        old = key_id(load_private(folder / key).public_key())
    else:
        old = ""
    signing = Ed25519PrivateKey.from_private_bytes(entropy(32))
    endorsement = _endorse(root, signing, uses, now)
    made = []
    for name, content, mode in (
        (key, private_pem(signing), 0o600),
        (said, canonical_json.dump(endorsement.document()), 0o644),
    ):
        kept = folder / f"{old}.{name}"
        # There already where an earlier renewal was broken off.
        if (folder / name).exists() and not kept.exists():
            os.link(folder / name, kept)
        fresh = folder / f".{name}.new"
        fresh.unlink(missing_ok=True)
        write_private(fresh, content, mode)
        os.replace(fresh, folder / name)
        made.append(folder / name)
    return made


def load_signer(key: Path, endorsement: Path, root: Ed25519PublicKey | None = None) -> Signer:
    """A signing key and its endorsement from files; with ``root``, one that this root did not sign so is
    refused: a file that says more than the root did.  Raises :class:`ConfigError`."""
    said = load_endorsement(endorsement)
    if root is not None:
        try:
            said.check_root(root)
        except SealError as error:
            raise ConfigError(
                "keys.bad_endorsement", f"{endorsement}: {error.message}", "make one: `accord keys renew`"
            ) from error
    return Signer(load_private(key), said)


def load_private(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key from a PEM file that only its owner reads.  Raises :class:`ConfigError`."""
    return parse_private(read_private(path), path)


def parse_private(content: bytes, path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key from PEM; ``path`` names the source in errors.  Raises :class:`ConfigError`."""
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise _bad_key(path, "private", error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad_key(path, "private", TypeError("another kind of key"))
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """An Ed25519 public key from a PEM file.  Raises :class:`ConfigError`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise _bad_key(path, "public", error) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _bad_key(path, "public", TypeError("another kind of key"))
    return key


def load_endorsement(path: Path) -> Endorsement:
    """An endorsement from its file; its signature is checked where it is used.  Raises
    :class:`ConfigError`."""
    try:
        body = canonical_json.load(path.read_bytes(), "endorsement")
        return Endorsement.read(body)
    except (OSError, SealError) as error:
        raise ConfigError(
            "keys.bad_endorsement", f"{path} is no endorsement: {error}", "make one: `accord keys renew`"
        ) from error


def public_pem(public: Ed25519PublicKey) -> bytes:
    """A public key as PEM (SubjectPublicKeyInfo)."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """A private key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _endorse(
    root: Ed25519PrivateKey, signing: Ed25519PrivateKey, uses: tuple[str, ...], now: datetime
) -> Endorsement:
    # A minute back: another machine's clock may be a little behind this one's.
    begin = now - timedelta(minutes=1)
    return endorse(root, signing.public_key(), uses, begin, now + timedelta(days=365 * YEARS))


def _bad_key(path: Path, kind: str, error: Exception) -> ConfigError:
    return ConfigError(
        "keys.bad_key",
        f"{path} is no Ed25519 {kind} key in PEM: {error}",
        f"of root.pub and root.key, {BRING_BACK}: no other root is believed; signing keys are made anew with "
        "`accord keys renew` and the root's key",
    )
