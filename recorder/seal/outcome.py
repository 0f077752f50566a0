"""What the two sides of a dispute agreed on, as both confirm it and as it is sealed beside a recording."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from recorder.ids import Entropy
from recorder.seal import canonical_json, streaming_aead
from recorder.seal.dispute_kinds import OutcomeWritten
from recorder.seal.keyring import Secret
from recorder.seal.manifest import Manifest
from recorder.strict_json import Form, Natural, Positive, Strict

CONTENT: Final = "outcome"
"""The name in the associated data of the encrypted content."""

_PAD: Final = 256
"""The plain content's length is a multiple of this many bytes."""

_STATEMENT: Final = Form[OutcomeWritten](OutcomeWritten)


@dataclass(frozen=True, slots=True)
class OutcomePassage(Strict):
    """A passage of the recording that both sides described in the same words, in milliseconds of audio."""

    begin_ms: Natural
    end_ms: Positive
    text: str


@dataclass(frozen=True, slots=True)
class NamedPerson(Strict):
    """The name of somebody who confirmed the outcome, by the user's id."""

    user: str
    name: str


@dataclass(frozen=True, slots=True)
class OutcomeContent(Strict):
    """What an amendment has of an outcome, encrypted: what the dispute was about, the text as it was
    confirmed, who confirmed it, and the passages of this recording."""

    subject: str
    statement: OutcomeWritten
    people: tuple[NamedPerson, ...]
    passages: tuple[OutcomePassage, ...]

    def has_same_facts(self, other: OutcomeContent) -> bool:
        """Whether both say the same; people may have changed their names meanwhile."""
        return self._facts == other._facts

    @property
    def _facts(self) -> tuple[object, ...]:
        return self.subject, self.statement, [each.user for each in self.people], self.passages


_CONTENT: Final = Form[OutcomeContent](OutcomeContent)


def outcome_sha256(outcome: OutcomeWritten) -> str:
    """What somebody confirms: the SHA-256 (hex) of the outcome's canonical JSON, with its salt."""
    return hashlib.sha256(canonical_json.dump(_STATEMENT.write(outcome))).hexdigest()


def encrypt_outcome(content: OutcomeContent, manifest: Manifest, data_key: Secret, entropy: Entropy) -> bytes:
    """Encrypt an outcome for a recording's amendment, padded so that the length reveals little. Raises
    :class:`recorder.errors.SealError` (``seal.key_foreign``)."""
    manifest.check_key(data_key)
    plain = canonical_json.dump(_CONTENT.write(content))
    padded = plain + b" " * (-len(plain) % _PAD)
    data = streaming_aead.associated_data(manifest.recording, CONTENT)
    return streaming_aead.encrypt_bytes(padded, data_key.key, data, entropy)


def decrypt_outcome(stored: bytes, manifest: Manifest, data_key: Secret) -> OutcomeContent:
    """Decrypt the result of :func:`encrypt_outcome`. Raises :class:`recorder.errors.SealError`
    (``seal.key_foreign``, ``seal.decryption``, ``seal.field``)."""
    manifest.check_key(data_key)
    data = streaming_aead.associated_data(manifest.recording, CONTENT)
    plain = streaming_aead.decrypt_bytes(stored, data_key.key, data).rstrip(b" ")
    return canonical_json.read(_CONTENT, canonical_json.load(plain, CONTENT), CONTENT)
