"""What a manifest says, as frozen values.  Reading and writing them is ``manifest_codec.py``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from recorder.audio.encoded_take import Gap
from recorder.audio.keep_answers import YES
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.errors import SealError
from recorder.seal.consent_record import GIVEN, Agreed, Agreement, Consent
from recorder.seal.keyring import Secret, part

BROUGHT_IN = "brought_in"
"""Why a recording that comes from elsewhere is unannounced; ``channel`` is then its file's SHA-256."""


@dataclass(frozen=True, slots=True)
class Object:
    """An encrypted object: hashes hex SHA-256, lengths bytes, ``blocks`` those of each stored 64 KiB
    block in order."""

    name: str
    media_type: str
    plain_sha256: str
    plain_length: int
    stored_sha256: str
    stored_length: int
    blocks: tuple[str, ...]

    def check_block(self, number: int, block: bytes) -> None:
        """Refuse a stored block that is not what was sealed: what :class:`envelope.Reader` asks of each.
        Raises :class:`SealError` (``seal.block``)."""
        if number >= len(self.blocks) or hashlib.sha256(block).hexdigest() != self.blocks[number]:
            raise SealError(
                "seal.block",
                f"block {number} of {self.name} is not what was sealed",
                "the stored object was changed; `accord verify` says where",
            )


@dataclass(frozen=True, slots=True)
class AnnouncedPurpose:
    """What the recording may be used for, and until when: as announced, or as agreed in the call."""

    code: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Announced:
    """What was announced, and where it is in the audio: ``offset_ms`` to ``end_ms``, found with
    ``score`` (normalised cross-correlation, 1.0 is the very sound)."""

    id: str
    version: int
    language: str
    text: str
    keep_days: int
    sound_sha256: str
    purposes: tuple[AnnouncedPurpose, ...]
    offset_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class SealedMarker:
    """A mark in milliseconds of audio.  Data that names a person is not here but in the parties."""

    at: datetime
    offset_ms: int
    kind: str
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody who was on the inside from ``offset_ms`` on."""

    offset_ms: int
    party: Party


@dataclass(frozen=True, slots=True)
class Parties:
    """Who spoke.  Encrypted in the manifest under the recording's data key."""

    outside: Party
    inside: Party | None
    joined: tuple[Joined, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """A call's times as they were noted in it, by clocks that were found to be wrong."""

    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Manifest:
    """A verified manifest.  Times UTC, offsets and lengths of audio in milliseconds.

    ``announced`` is ``None`` where the announcement was not found in the audio; ``unannounced`` then says
    why, and there is no purpose.  ``consent`` is how it was agreed to record, ``agreements`` the questions in
    the call whether it may be kept, ``agreed`` what came of them (``None``: nothing).  ``noted`` is ``None``
    where start and end are as they were noted in the call.  ``keep_until`` is when the recording goes at the
    latest unless something sealed later says otherwise.
    """

    recording: str
    tenant: str
    line: str
    number: str
    direction: str
    node: str
    channel: str
    started_at: datetime
    bridged_at: datetime | None
    ended_at: datetime
    sealed_at: datetime
    noted: Noted | None
    keep_until: datetime
    duration_ms: int
    drift_ms: int
    sample_rate: int
    announced: Announced | None
    unannounced: str | None
    consent: Consent
    agreements: tuple[Agreement, ...]
    agreed: Agreed | None
    markers: tuple[SealedMarker, ...]
    gaps: tuple[Gap, ...]
    objects: tuple[Object, ...]
    parties: bytes
    data_key_id: str
    tenant_key_id: str
    software: str
    signing_key_id: str = ""

    @property
    def purposes(self) -> tuple[AnnouncedPurpose, ...]:
        """What it may be used for: nothing that was not announced, or agreed in the call."""
        announced = () if self.announced is None else self.announced.purposes
        more = self.agreed
        if more is None:
            return announced
        longer = {each.code: each.until for each in announced}
        longer[more.code] = max(more.until, longer.get(more.code, more.until))
        return tuple(AnnouncedPurpose(code, until) for code, until in longer.items())

    @property
    def brought_in(self) -> str | None:
        """The SHA-256 (hex) of the file that it was, where it comes from elsewhere."""
        return self.channel if self.unannounced == BROUGHT_IN else None

    @property
    def kept(self) -> str | None:
        """What came of the questions whether to keep it: ``yes`` only where that counts, ``no``, ``none``
        (nobody answered), or ``None``."""
        if self.agreed is not None:
            return YES
        given = [each.answer for each in self.agreements if each.answer in GIVEN]
        return None if not given or given[-1] == YES else given[-1]

    @property
    def prefix(self) -> str:
        """Where the recording lies in the bucket, with a slash at the end."""
        return prefix(self.tenant, self.started_at, self.recording)

    def object(self, name: str) -> Object | None:
        """The object of that name."""
        return next((found for found in self.objects if found.name == name), None)

    def check_key(self, data_key: Secret) -> None:
        """Refuse another data key than the sealed one.  Raises :class:`SealError`."""
        if data_key.id != self.data_key_id:
            raise SealError(
                "seal.key_foreign",
                f"recording {self.recording} was sealed with data key {self.data_key_id}, not {data_key.id}",
            )


def prefix(tenant: str, started_at: datetime, recording: str) -> str:
    """``<tenant>/<yyyy>/<mm>/<dd>/<recording>/``, the day in UTC."""
    return f"{part(tenant)}/{to_iso(started_at)[:10].replace('-', '/')}/{part(recording)}/"
