"""The manifest, version 1: its fields and the rules between them.  docs/reference/formats.md describes
each field.

Version 1 is closed: another version, unknown fields and contradictory fields are refused.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from recorder.audio.encoded_take import Gap
from recorder.audio.keep_answers import YES
from recorder.clock import to_iso
from recorder.domain.markers import SealedMarker
from recorder.domain.parties import Party
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal import canonical_json, consent_record, hints, signing, streaming_aead
from recorder.seal.keyring import RESTORE, Secret, key_part
from recorder.seal.signed_document import Kind
from recorder.strict_json import Binary, Form, Natural, Positive, Sha256, Strict, Time, is_empty

MAX_BYTES: Final = 64 * 1024 * 1024

CHANNELS: Final = {"left": "external_party_says", "right": "external_party_hears"}

PARTIES: Final = "parties"
"""The name in the associated data of the encrypted parties."""

_PAD: Final = 256
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

IMPORTED = "imported"
"""Why an imported recording is unannounced; its ``channel`` is then the SHA-256 of the imported file."""


@dataclass(frozen=True, slots=True)
class Object(Strict):
    """An encrypted object.  Hashes are SHA-256 in hex, lengths in bytes; ``blocks`` are the hashes of the
    stored 64 KiB blocks, in order."""

    name: str
    media_type: str
    plain_sha256: Sha256
    plain_length: Natural
    stored_sha256: Sha256
    stored_length: Positive
    blocks: tuple[Sha256, ...]

    def check_block(self, number: int, block: bytes) -> None:
        """Check a stored block against the sealed hash; the ``check`` of a :class:`streaming_aead.Reader`.
        Raises :class:`SealError` (``seal.block``)."""
        if number >= len(self.blocks) or hashlib.sha256(block).hexdigest() != self.blocks[number]:
            raise SealError(
                "seal.block",
                f"block {number} of {self.name} differs from the sealed one",
                "the stored object was changed; `accord recording verify` lists the changed blocks",
            )


@dataclass(frozen=True, slots=True)
class AnnouncedPurpose(Strict):
    """A purpose that the recording may be used for, and until when: announced, or consented to in the call.

    It is a separate type beside the line's announcement because it states an outcome, signed and never
    changed: a purpose is sealed only if it was heard in the audio, and its end is a time instead of days."""

    code: str
    until: Time


@dataclass(frozen=True, slots=True)
class Announced(Strict):
    """The announcement, and its place in the audio: ``offset_ms`` to ``end_ms``.  ``score`` is the normalised
    cross-correlation; 1.0 is the identical sound."""

    id: str
    version: Natural
    language: str
    text: str
    keep_days: Natural
    sound_sha256: Sha256
    purposes: tuple[AnnouncedPurpose, ...]
    offset_ms: Natural
    end_ms: Natural
    score: float


@dataclass(frozen=True, slots=True)
class JoinedParty(Strict):
    """A participant or supervisor who was there from ``offset_ms`` on."""

    offset_ms: int
    party: Party


@dataclass(frozen=True, slots=True)
class Parties(Strict):
    """The parties of the call.  The manifest has them encrypted under the recording's data key.

    ``caller_name`` is what the caller stated about themselves, which anybody can write: it says nothing about
    who they are, and is only offered to the customer's people as a name for their own note."""

    external_party: Party
    internal_party: Party | None
    participants: tuple[JoinedParty, ...]
    caller_name: Annotated[str, Field(exclude_if=is_empty)] = ""


@dataclass(frozen=True, slots=True)
class UncorrectedTimes(Strict):
    """A call's times as noted during the call, by clocks that turned out to be wrong."""

    started_at: Time
    ended_at: Time


@dataclass(frozen=True, slots=True)
class KeyIds(Strict):
    """Ids of the recording's ``data`` key and of the ``tenant``'s key that first wrapped it."""

    data: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Manifest(Strict):
    """A verified manifest.  Times are UTC, offsets and durations milliseconds of audio.

    ``announced`` is ``None`` where the announcement was not found in the audio; ``unannounced`` then says
    why, and there is no purpose.  ``consent`` is the consent to recording, ``keep_questions`` are the keep
    questions of the call, and ``keep_consent`` is the consent that resulted, if any.  ``uncorrected`` is
    ``None`` where start and end are as noted during the call.  At ``keep_until`` the recording expires,
    unless an amendment changes that.  ``signing_key_id`` is the id of the signing key, which is not in the
    body.
    """

    recording: str
    tenant: str
    line: str
    number: str
    direction: str
    node: str
    channel: str
    started_at: Time
    bridged_at: Time | None
    ended_at: Time
    sealed_at: Time
    uncorrected: UncorrectedTimes | None
    keep_until: Time
    duration_ms: Natural
    drift_ms: int
    sample_rate: Positive
    announced: Annotated[Announced | None, Field(alias="announcement")]
    unannounced: str | None
    consent: consent_record.Consent
    keep_questions: tuple[consent_record.KeepQuestion, ...]
    keep_consent: consent_record.KeepConsent | None
    markers: tuple[SealedMarker, ...]
    gaps: tuple[Gap, ...]
    objects: tuple[Object, ...]
    parties: Binary
    keys: KeyIds
    software: str
    signing_key_id: Annotated[str, Field(exclude=True)] = ""

    @property
    def purposes(self) -> tuple[AnnouncedPurpose, ...]:
        """The purposes that were announced, or consented to in the call."""
        announced = () if self.announced is None else self.announced.purposes
        more = self.keep_consent
        if more is None:
            return announced
        longer = {each.code: each.until for each in announced}
        longer[more.code] = max(more.until, longer.get(more.code, more.until))
        return tuple(AnnouncedPurpose(code, until) for code, until in longer.items())

    @property
    def import_sha256(self) -> str | None:
        """The SHA-256 (hex) of the imported file; ``None`` for a recording of Accord's own."""
        return self.channel if self.unannounced == IMPORTED else None

    @property
    def keep_answer(self) -> str | None:
        """The outcome of the keep questions: ``yes`` only where it counts, ``no``, ``none`` (nobody
        answered), or ``None`` (nothing was asked or answered)."""
        if self.keep_consent is not None:
            return YES
        answers = [each.answer for each in self.keep_questions if each.answer in consent_record.ANSWERS]
        return None if not answers or answers[-1] == YES else answers[-1]

    @property
    def prefix(self) -> str:
        """The prefix of the recording's objects in the bucket, with a slash at the end."""
        return prefix(self.tenant, self.started_at, self.recording)

    def object(self, name: str) -> Object | None:
        """The object of that name, if there is one."""
        return next((found for found in self.objects if found.name == name), None)

    def check_key(self, data_key: Secret) -> None:
        """Check that a data key is the sealed one.  Raises :class:`SealError` (``seal.key_foreign``)."""
        if data_key.id != self.keys.data:
            raise SealError(
                "seal.key_foreign",
                f"recording {self.recording} was sealed with data key {self.keys.data}, not {data_key.id}",
                RESTORE,
            )


def prefix(tenant: str, started_at: datetime, recording: str) -> str:
    """``<tenant>/<yyyy>/<mm>/<dd>/<recording>/``, the day in UTC."""
    return f"{key_part(tenant)}/{to_iso(started_at)[:10].replace('-', '/')}/{key_part(recording)}/"


def _check(manifest: Manifest) -> None:
    """Refuse a contradictory manifest, so that no reader has to.  Raises :class:`SealError`
    (``seal.contradiction``)."""

    def refuse(what: str) -> None:
        raise SealError("seal.contradiction", f"the manifest contradicts itself: {what}", hints.DOCUMENT)

    try:
        if str(UUID(manifest.recording)) != manifest.recording:
            raise ValueError
        key_part(manifest.tenant)
    except (ValueError, SealError):
        refuse("its ids are no ids")
    if not manifest.started_at <= manifest.ended_at <= manifest.sealed_at:
        refuse("it ends before it begins, or was sealed before it ended")
    if (manifest.announced is None) == (manifest.unannounced is None):
        refuse("it is neither announced nor unannounced")
    announced = manifest.announced
    if announced is not None:
        if not 0 <= announced.offset_ms < announced.end_ms <= manifest.duration_ms:
            refuse("the announcement lies outside the audio")
        if len({each.code for each in announced.purposes}) != len(announced.purposes):
            refuse("a purpose is named twice")
    for why in (
        consent_record.find_consent_contradiction(manifest.consent, announced is not None),
        consent_record.find_contradiction(manifest.keep_questions, manifest.duration_ms),
    ):
        if why is not None:
            refuse(why)
    if (manifest.keep_consent is not None) != consent_record.is_keep_consented(
        announced is not None, manifest.keep_questions
    ):
        refuse("it is kept by agreement without a yes that counts, or not kept with one")
    if any(each.until > manifest.keep_until for each in manifest.purposes):
        refuse("a purpose outlives the recording")
    if any(not gap.start_ms < gap.end_ms for gap in manifest.gaps):
        refuse("a gap ends before it begins")
    names = [each.name for each in manifest.objects]
    if not names or names != sorted(set(names)) or not all(_NAME.fullmatch(name) for name in names):
        refuse("its objects have no names, or not in order")
    for each in manifest.objects:
        if streaming_aead.stored_length(each.plain_length) != each.stored_length:
            refuse(f"the lengths of {each.name} do not go together")
        if len(each.blocks) != -(-each.stored_length // streaming_aead.SEGMENT):
            refuse(f"{each.name} has more or fewer blocks than its length")


MANIFEST: Final = Kind(
    "accord-manifest", "manifest", signing.MANIFEST, Form[Manifest](Manifest),
    signed_at="sealed_at", largest=MAX_BYTES, check=_check, constants={"channels": CHANNELS},
)  # fmt: skip

_PARTIES: Final = Form[Parties](Parties)


def to_body(manifest: Manifest) -> dict[str, Any]:
    """The fields that are signed."""
    return MANIFEST.body(manifest)


def encrypt_parties(parties: Parties, recording: str, data_key: Secret, entropy: Entropy) -> bytes:
    """Encrypt the parties for the manifest, padded so that the length reveals nothing."""
    plain = canonical_json.dump(_PARTIES.write(parties))
    padded = plain + b" " * (-len(plain) % _PAD)
    data = streaming_aead.associated_data(recording, PARTIES)
    return streaming_aead.encrypt_bytes(padded, data_key.key, data, entropy)


def decrypt_parties(manifest: Manifest, data_key: Secret) -> Parties:
    """Decrypt the parties of a manifest. Raises :class:`SealError` (``seal.key_foreign``,
    ``seal.decryption``, ``seal.field``)."""
    manifest.check_key(data_key)
    data = streaming_aead.associated_data(manifest.recording, PARTIES)
    plain = streaming_aead.decrypt_bytes(manifest.parties, data_key.key, data).rstrip(b" ")
    return canonical_json.read(_PARTIES, canonical_json.load(plain, PARTIES), PARTIES)
