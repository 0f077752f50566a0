"""Keys: their hierarchy, wrapping and ids.

::

    root (Ed25519, can lie offline) ── endorses ──> signing keys (Ed25519; the worker's signs manifests)
    key-encryption key ── wraps ──> tenant key ── wraps ──> data key of a recording

Wrapping is AES-256-GCM with a random nonce.  The associated data binds the wrapped key to its tenant and
recording.  A key's id is a hash of the key, so an exchanged key does not match the id in the manifest.

Worker and web hold a :class:`Keyring` (the key-encryption keys); only the worker holds a
:class:`recorder.seal.signing.Signer`; a verifier is given the root's public key and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field

from recorder.errors import ConfigError, SealError
from recorder.ids import Entropy
from recorder.seal import canonical_json, hints
from recorder.spool.atomic_files import name_failure
from recorder.strict_json import Binary, Form, Strict, one_of

KEY = 32
_NONCE = 12
_PART = re.compile(r"[0-9a-z][0-9a-z-]{0,62}")
_PLACE = re.compile(r"keys/([^/]+)/(?:tenant(?:-([^/]+))?|([^/]+))\.json")

TENANT = "tenant"
RECORDING = "recording"
NEXT = "next"

BRING_BACK = "`accord key restore` brings it back from its copy or from paper"

RESTORE = (
    "the same key may lie in the catalogue, in an older version in the bucket, or in a backup; "
    "`accord key rotate` puts a customer's own key back where catalogue or bucket has it. "
    "No new key opens what this one did"
)
"""Hint for a damaged or foreign wrapped key."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A symmetric key of 32 bytes with its id; ``repr`` hides the key."""

    key: bytes
    id: str

    def __repr__(self) -> str:
        return f"Secret(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class WrappedKey(Strict):
    """A key encrypted under another key; safe to store anywhere.

    ``kind`` is ``tenant`` or ``recording`` (then ``recording`` is set); ``key_id`` is the id of the key
    inside, ``wrapped_by`` that of the key that opens it.
    """

    kind: Annotated[str, one_of((TENANT, RECORDING))]
    tenant: str
    recording: str | None
    key_id: str
    wrapped_by: str
    nonce: Annotated[Binary, Field(min_length=_NONCE, max_length=_NONCE)]
    wrapped: Annotated[Binary, Field(min_length=KEY + 16, max_length=KEY + 16)]

    def to_bytes(self) -> bytes:
        """Return the RFC 8785 JSON for the bucket and the catalogue."""
        return canonical_json.dump({**_CONSTANTS, **_WRAPPED.write(self)})

    MAX_BYTES: ClassVar[int] = 64 * 1024

    @classmethod
    def from_bytes(cls, content: bytes) -> WrappedKey:
        """Read what :meth:`to_bytes` wrote.  Raises :class:`SealError` for anything else."""
        where = "wrapped key"
        fields = canonical_json.take_constants(canonical_json.load(content, where), where, _CONSTANTS)
        read = canonical_json.read(_WRAPPED, fields, where)
        if (read.kind == RECORDING) != (read.recording is not None):
            raise SealError(
                "seal.field", "a wrapped key of a recording must name it, and no other key may", RESTORE
            )
        return read


_WRAPPED: Final = Form[WrappedKey](WrappedKey)
_CONSTANTS: Final[Mapping[str, str | int]] = {
    "type": "accord-wrapped-key",
    "version": 1,
    "algorithm": "AES-256-GCM",
}


class Keyring:
    """The key-encryption keys of a process. The first wraps, all unwrap, so that a rotation can put a new one
    first. ``look`` loads others when the needed one is missing: a new key needs no restart."""

    def __init__(
        self, kek: Secret, *others: Secret, look: Callable[[], Iterable[Secret]] | None = None
    ) -> None:
        self._current = kek
        self._keks = {each.id: each for each in (kek, *others)}
        self._look = look

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keks)})"

    @property
    def current(self) -> str:
        """The id of the key-encryption key that wraps."""
        return self._current.id

    def ids(self) -> tuple[str, ...]:
        """The ids of all key-encryption keys, the one that wraps first."""
        if self._look is not None:
            self._keks = self._keks | {each.id: each for each in self._look()}
        return (self.current, *sorted({*self._keks} - {self.current}))

    def backup_key(self, kek_id: str | None = None) -> tuple[Secret, str]:
        """Derive the key of a backup from a key-encryption key (default: the current one); return it with
        that key's id. Raises :class:`SealError` (``seal.kek_missing``)."""
        return self._derive(b"accord/1/backup-key", kek_id)

    def mail_key(self, kek_id: str | None = None) -> tuple[Secret, str]:
        """The same for the key of the queue of outgoing mail (:mod:`recorder.mail.outbox`)."""
        return self._derive(b"accord/1/mail-key", kek_id)

    def dial_in_key(self, kek_id: str | None = None) -> Secret:
        """The same for the key of the codes with which guests enter a room by telephone."""
        return self._derive(b"accord/1/dial-in-key", kek_id)[0]

    def own_call_key(self, kek_id: str | None = None) -> Secret:
        """The same for the key under which codes for people's own calls are kept."""
        return self._derive(b"accord/1/own-call-key", kek_id)[0]

    def _derive(self, purpose: bytes, kek_id: str | None) -> tuple[Secret, str]:
        kek = self._current if kek_id is None else self._kek(kek_id)
        if kek is None:
            raise SealError(
                "seal.kek_missing",
                f"it is encrypted under key-encryption key {kek_id}, which is missing "
                f"(present: {', '.join(self._keks)})",
                f"give the key-encryption key that was in use then: {BRING_BACK}",
            )
        return make_secret(HKDF(hashes.SHA256(), KEY, None, purpose).derive(kek.key)), kek.id

    def new_tenant_key(self, tenant: str, entropy: Entropy = os.urandom) -> WrappedKey:
        """Create a tenant's key, wrapped by the current key-encryption key."""
        return _wrap(self._current, make_secret(entropy(KEY)), TENANT, tenant, None, entropy)

    def new_data_key(
        self, tenant_key: WrappedKey, recording: str, entropy: Entropy = os.urandom
    ) -> tuple[Secret, WrappedKey]:
        """Create a recording's data key, wrapped by its tenant's key.  Raises :class:`SealError`."""
        data = make_secret(entropy(KEY))
        by = self.open_tenant_key(tenant_key)
        return data, _wrap(by, data, RECORDING, tenant_key.tenant, recording, entropy)

    def open_tenant_key(self, wrapped: WrappedKey) -> Secret:
        """Unwrap a tenant's key.  Raises :class:`SealError` (``seal.kek_missing``, ``seal.key_kind``,
        ``seal.key_damaged``)."""
        kek = self._kek(wrapped.wrapped_by)
        if kek is None:
            raise SealError(
                "seal.kek_missing",
                f"the key of tenant {wrapped.tenant} is wrapped by key-encryption key {wrapped.wrapped_by}, "
                f"which is missing (present: {', '.join(self._keks)})",
                f"give the key-encryption key that was in use then: {BRING_BACK}",
            )
        if wrapped.kind != TENANT:
            raise SealError("seal.key_kind", "it is a recording's key, not a tenant's", RESTORE)
        return _unwrap(kek, wrapped)

    def rewrap_tenant_key(self, wrapped: WrappedKey, entropy: Entropy = os.urandom) -> WrappedKey:
        """Rewrap a tenant's key under the current key-encryption key.  Raises as
        :meth:`open_tenant_key`."""
        return _wrap(self._current, self.open_tenant_key(wrapped), TENANT, wrapped.tenant, None, entropy)

    def rewrap_data_key(
        self, old: WrappedKey, new: WrappedKey, wrapped: WrappedKey, entropy: Entropy = os.urandom
    ) -> WrappedKey:
        """Rewrap a recording's data key under its tenant's ``new`` key instead of the ``old`` one. Raises
        :class:`SealError` as :meth:`open_data_key`."""
        if (new.kind, new.tenant) != (TENANT, wrapped.tenant):
            raise SealError(
                "seal.key_foreign", f"the new key does not belong to tenant {wrapped.tenant}", RESTORE
            )
        data = self.open_data_key(old, wrapped)
        by = self.open_tenant_key(new)
        return _wrap(by, data, RECORDING, wrapped.tenant, wrapped.recording, entropy)

    def _kek(self, kek_id: str) -> Secret | None:
        if kek_id not in self._keks and self._look is not None:
            self._keks = {each.id: each for each in self._look()} | self._keks
        return self._keks.get(kek_id)

    def open_data_key(self, tenant_key: WrappedKey, wrapped: WrappedKey) -> Secret:
        """Unwrap the data key of a recording.  Raises :class:`SealError` (``seal.kek_missing``,
        ``seal.key_kind``, ``seal.key_foreign``, ``seal.key_damaged``)."""
        if wrapped.kind != RECORDING:
            raise SealError("seal.key_kind", "it is a tenant's key, not a recording's", RESTORE)
        tenant = self.open_tenant_key(tenant_key)
        if wrapped.tenant != tenant_key.tenant or wrapped.wrapped_by != tenant.id:
            raise SealError(
                "seal.key_foreign",
                f"the key of recording {wrapped.recording} is wrapped by another tenant key",
                RESTORE,
            )
        return _unwrap(tenant, wrapped)


def make_secret(key: bytes) -> Secret:
    """Return a key with its id: the first 32 hex digits of SHA-256 over ``accord/1/key-id/`` and the key."""
    if len(key) != KEY:
        raise ValueError(f"a key has {KEY} bytes")
    return Secret(key, hashlib.sha256(b"accord/1/key-id/" + key).hexdigest()[:32])


def tenant_key_path(tenant: str) -> str:
    """Return the bucket key of a tenant's wrapped key."""
    return f"keys/{key_part(tenant)}/tenant.json"


def every_tenant_key_path(tenant: str, key_id: str) -> str:
    """Return the bucket key of one of a tenant's wrapped keys by its id, after a rotation."""
    return f"keys/{key_part(tenant)}/{TENANT}-{key_part(key_id)}.json"


def next_tenant_key_path(tenant: str) -> str:
    """Return the bucket key of a tenant's next wrapped key, during a rotation."""
    return f"keys/{key_part(tenant)}/{TENANT}-{NEXT}.json"


def recording_of_path(place: str) -> str | None:
    """Return the recording whose wrapped key has this bucket key; ``None`` for a tenant's."""
    name = place.rpartition("/")[2].removesuffix(".json")
    return None if name == TENANT or name.startswith(f"{TENANT}-") else name


def data_key_path(tenant: str, recording: str) -> str:
    """Return the bucket key of a recording's wrapped key, apart from its audio."""
    return f"keys/{key_part(tenant)}/{key_part(recording)}.json"


def wrapped_key(
    content: bytes, where: str, tenant: str, recording: str | None = None, key_id: str | None = None
) -> WrappedKey:
    """Read a wrapped key and check that it belongs to a tenant or its recording, and has the id ``key_id`` if
    given.  ``where`` is its place in errors.  It is not unwrapped.

    Raises :class:`SealError` (``seal.key_damaged``, ``seal.key_foreign``)."""
    try:
        found = WrappedKey.from_bytes(content)
    except SealError as error:
        raise SealError("seal.key_damaged", f"{where} is no wrapped key: {error.message}", RESTORE) from error
    if (found.tenant, found.recording) != (tenant, recording):
        whose = f"recording {found.recording} of " if found.recording is not None else ""
        raise SealError("seal.key_foreign", f"{where} is the key of {whose}tenant {found.tenant}", RESTORE)
    if key_id is not None and found.key_id != key_id:
        raise SealError("seal.key_foreign", f"{where} is key {found.key_id}", RESTORE)
    return found


def wrapped_key_at(place: str, content: bytes) -> WrappedKey:
    """Read a wrapped key and check its owner against its place in the bucket.  Raises as
    :func:`wrapped_key`."""
    match = _PLACE.fullmatch(place)
    if match is None:
        raise SealError(
            "seal.key_foreign", f"{place} is not the place of a wrapped key", hints.FOREIGN_OBJECT
        )
    tenant, key_id, recording = match.groups()
    return wrapped_key(content, place, tenant, recording, None if key_id == NEXT else key_id)


def key_part(name: str) -> str:
    """Check that a tenant's or recording's id can be part of an object's key, and return it.  Raises
    :class:`SealError` (``seal.bad_id``)."""
    if not _PART.fullmatch(name) or name == TENANT or name.startswith(f"{TENANT}-"):
        raise SealError("seal.bad_id", f"{name!r} cannot be part of an object's key", hints.COMPARE)
    return name


def parse_kek(text: str, where: str) -> Secret:
    """Parse a key-encryption key: 32 bytes in base64.  ``where`` names the source in errors.  Raises
    :class:`ConfigError` (``keys.bad_kek``)."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise ConfigError(
            "keys.bad_kek",
            f"the key-encryption key in {where} is not 32 bytes in base64",
            f"{BRING_BACK}: a new one opens nothing that this one wrapped",
        )
    return make_secret(key)


def load_kek(path: Path) -> Secret:
    """Read a key-encryption key from a file.  Raises :class:`ConfigError`, also where other users may read
    it."""
    return parse_kek(read_private(path).decode("ascii", "replace"), str(path))


def read_private(path: Path) -> bytes:
    """Read a secret file.  Raises :class:`ConfigError` where it is missing, readable by others than its owner
    and group, or writable by others than its owner."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(65536)
    except OSError as error:
        raise ConfigError(
            "keys.unreadable", f"the key file {path} cannot be read: {error.strerror}", _hint(path)
        ) from error
    if mode & 0o027:
        raise ConfigError(
            "keys.open_to_others",
            f"the key file {path} can be read or written by others (mode {mode & 0o777:04o})",
            f"chmod 600 {path}",
        )
    return content


def _hint(path: Path) -> str:
    """Return the hint for an unreadable key file.  Only a folder without any key may be that of a new
    installation."""
    advice = f"correct the path and the file's owner. Where it is lost, {BRING_BACK}"
    new = not any(any(path.parent.glob(pattern)) for pattern in ("*.key", "*.pub", "*kek*", "*.json"))
    return f"{advice}; a new installation makes its keys with `accord key init`" if new else advice


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new key file durably, whole or not at all, never over an existing one.  Raises
    :class:`ConfigError` (``keys.exists``), ``OSError``."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        raise keys_exist([path]) from None
    try:
        with name_failure(path), open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise


def keys_exist(paths: Iterable[Path]) -> ConfigError:
    """Return the error for a key file that exists already."""
    return ConfigError(
        "keys.exists",
        f"there are keys already: {', '.join(str(path) for path in paths)}",
        "nothing was written: no key is ever replaced. `accord key restore` adds what is missing",
    )


def _purpose(kind: str, tenant: str, recording: str | None) -> bytes:
    if kind == TENANT:
        return f"accord/1/tenant/{tenant}".encode()
    return f"accord/1/recording/{tenant}/{recording}".encode()


def _wrap(
    by: Secret, inner: Secret, kind: str, tenant: str, recording: str | None, entropy: Entropy
) -> WrappedKey:
    nonce = entropy(_NONCE)
    wrapped = AESGCM(by.key).encrypt(nonce, inner.key, _purpose(kind, tenant, recording))
    return WrappedKey(kind, tenant, recording, inner.id, by.id, nonce, wrapped)


def _unwrap(by: Secret, wrapped: WrappedKey) -> Secret:
    purpose = _purpose(wrapped.kind, wrapped.tenant, wrapped.recording)
    try:
        inner = make_secret(AESGCM(by.key).decrypt(wrapped.nonce, wrapped.wrapped, purpose))
    except InvalidTag:
        inner = None
    if inner is None or inner.id != wrapped.key_id:
        raise SealError(
            "seal.key_damaged",
            f"the wrapped key of {wrapped.kind} {wrapped.recording or wrapped.tenant} does not open: "
            "it was changed, or belongs to another tenant or recording",
            RESTORE,
        )
    return inner
