"""The signed form of a log's state: a checkpoint (C2SP tlog-checkpoint) in a signed note (C2SP signed-note)::

    accord/<root's key id>/<tenant>/<epoch>         the origin, and the key's name
    1234                                            leaves
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    the root over them
    number 17                                       of the tenant's checkpoints, counted from 1
    at 2026-11-25T23:00:00.000Z
    key 0123456789abcdef0123456789abcdef            the signing key's id
    before <SHA-256 of the checkpoint before, hex>  or "none"

    — accord/<root's key id>/<tenant>/<epoch> <base64 of 4 bytes of key id, and 64 of Ed25519>

The lines after the third are extension lines, which generic readers of checkpoints ignore. Each checkpoint
names its predecessor, so a removed one is noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import from_iso, to_iso
from recorder.errors import AuditLogError
from recorder.seal.signing import Signer, raw_public

MAX_BYTES = 64 * 1024
"""Maximum size of a note, including witnesses' signatures."""

NONE = "none"
_ED25519 = b"\x01"
_DASH = "\u2014"
_ORIGIN = re.compile(r"accord/([0-9a-f]{32})/([0-9a-z][0-9a-z-]{0,62})/([1-9][0-9]{0,8})")
_COUNT = re.compile(r"0|[1-9][0-9]{0,18}")
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Head:
    """The content of a checkpoint: ``epoch`` of a tenant's log, its first ``size`` leaves and their ``root``;
    its ``number``, when and by which key it was signed, and its predecessor's hash (hex)."""

    installation: str
    tenant: str
    epoch: int
    size: int
    root: bytes
    number: int
    at: datetime
    key: str
    before: str | None

    @property
    def origin(self) -> str:
        return f"accord/{self.installation}/{self.tenant}/{self.epoch}"

    def text(self) -> str:
        """The note's text, as it is signed."""
        lines = (
            self.origin,
            str(self.size),
            base64.b64encode(self.root).decode(),
            f"number {self.number}",
            f"at {to_iso(self.at)}",
            f"key {self.key}",
            f"before {self.before or NONE}",
        )
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A checkpoint as read: its signatures by key name, each as four bytes of key id and the signature."""

    head: Head
    signatures: tuple[tuple[str, bytes], ...]

    def signed_by(self, public: Ed25519PublicKey) -> bool:
        """Whether a key signed it under the origin's name."""
        name = self.head.origin
        hash_ = key_hash(name, public)
        mine = [line for each, line in self.signatures if each == name and line[:4] == hash_]
        return bool(mine) and all(_verifies(public, line[4:], self.head.text()) for line in mine)

    def alone(self) -> str:
        """The note as :func:`sign` wrote it, without the signatures that witnesses added later. Of the
        signatures under the origin's name, the first is kept."""
        name = self.head.origin
        lines = [line for each, line in self.signatures if each == name][:1]
        signed = "".join(f"{_DASH} {name} {base64.b64encode(line).decode()}\n" for line in lines)
        return f"{self.head.text()}\n{signed}"


def key_hash(name: str, public: Ed25519PublicKey) -> bytes:
    """The four bytes by which a signature line names an Ed25519 key."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw_public(public)).digest()[:4]


def sign(head: Head, signer: Signer) -> str:
    """The signed note."""
    public = Ed25519PublicKey.from_public_bytes(signer.endorsement.public_key)
    signature = key_hash(head.origin, public) + signer.sign_note(head.text())
    return f"{head.text()}\n{_DASH} {head.origin} {base64.b64encode(signature).decode()}\n"


def fingerprint(note: str) -> str:
    """The hash (hex) by which the next checkpoint names this one; witnesses' signatures do not affect it.
    Raises :class:`AuditLogError` for anything that is not a checkpoint."""
    return hashlib.sha256(read(note.encode()).alone().encode()).hexdigest()


def read(content: bytes) -> SignedNote:
    """Read a checkpoint without verifying its signatures. Raises :class:`AuditLogError`
    (``checkpoint.form``)."""
    try:
        note = content.decode("utf-8")
        if len(content) > MAX_BYTES or re.search(r"[\x00-\x09\x0b-\x1f]", note):
            raise ValueError("control characters, or too long")
        text, separator, lines = note.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise ValueError("no signature")
        head = _head((text + "\n").splitlines())
        if head.text() != text + "\n":
            raise ValueError("not in canonical form")
        return SignedNote(head, tuple(_signature(line) for line in lines[:-1].split("\n")))
    except (ValueError, binascii.Error) as error:
        raise AuditLogError(
            "checkpoint.form",
            f"this is not one of Accord's checkpoints: {error}",
            "use the file as Accord wrote it, without changes by a mail program or an editor",
        ) from error


def _head(lines: list[str]) -> Head:
    if len(lines) != 7:
        raise ValueError(f"{len(lines)} lines instead of 7")
    origin = _ORIGIN.fullmatch(lines[0])
    if origin is None:
        raise ValueError("another origin")
    root = base64.b64decode(lines[2], validate=True)
    key, before = _after("key", lines[5]), _after("before", lines[6])
    if len(root) != 32 or not _HEX.fullmatch(key) or not (before == NONE or _HEX.fullmatch(before)):
        raise ValueError("an invalid hash")
    return Head(
        installation=origin[1],
        tenant=origin[2],
        epoch=int(origin[3]),
        size=_number(lines[1]),
        root=root,
        number=_number(_after("number", lines[3])),
        at=from_iso(_after("at", lines[4])),
        key=key,
        before=None if before == NONE else before,
    )


def _after(word: str, line: str) -> str:
    found, _, rest = line.partition(" ")
    if found != word:
        raise ValueError(f"{word} is missing")
    return rest


def _number(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(f"not a number: {text[:30]!r}")
    return int(text)


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise ValueError("an invalid signature line")
    return parts[1], base64.b64decode(parts[2], validate=True)


def _verifies(public: Ed25519PublicKey, signature: bytes, text: str) -> bool:
    try:
        public.verify(signature, text.encode())
    except InvalidSignature:
        return False
    return True
