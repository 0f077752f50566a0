"""Sealing a take: encrypt its audio, and sign the manifest whose upload commits the recording.

A manifest is a signed document (``signed_document.py``) and is never rewritten: later facts are in amendments
beside it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.audio.encoded_take import Encoded, EncodedSound
from recorder.clock import Uptime, truncate
from recorder.domain.markers import LocatedMarker, SealedMarker, withhold_identity
from recorder.domain.parties import Party
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal import consent_record, signed_document, signing, streaming_aead
from recorder.seal.arrivals import is_arrival
from recorder.seal.clock_correction import Timing, correct_times
from recorder.seal.consent_record import Consent
from recorder.seal.keyring import RESTORE, Keyring, Secret, WrappedKey, data_key_path
from recorder.seal.manifest import (
    IMPORTED,
    MANIFEST,
    Announced,
    AnnouncedPurpose,
    JoinedParty,
    KeyIds,
    Manifest,
    Object,
    Parties,
    encrypt_parties,
)
from recorder.spool import layout
from recorder.spool.atomic_files import write_file
from recorder.verified_state import VerifiedState

NAME = layout.MANIFEST
KEY_FILE = "key.json"
ENCRYPTED = ".enc"

UNANNOUNCED_KEEP = timedelta(days=30)
"""Retention of a recording whose announcement was not found in the audio (P1)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be put under ``key`` in the bucket; ``sha256`` is the hex SHA-256 of its bytes."""

    key: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class SealedTake(VerifiedState):
    """An encrypted and signed recording in its take's folder.

    ``uploads`` are in the order of their upload: the objects, the wrapped key, and last the manifest, which
    commits the recording.
    """

    folder: Path
    manifest: Manifest
    manifest_bytes: bytes
    key: WrappedKey
    uploads: tuple[Upload, ...]

    @property
    def recording(self) -> str:
        return self.manifest.recording

    @property
    def prefix(self) -> str:
        return self.manifest.prefix


def seal(
    encoded: Encoded,
    keyring: Keyring,
    tenant_key: WrappedKey,
    signer: signing.Signer,
    now: datetime,
    entropy: Entropy = os.urandom,
    uptime: Uptime | None = None,
) -> SealedTake:
    """Encrypt a take's audio under a new data key, and sign its manifest. ``uptime`` is the machine's present
    uptime; where it is unknown (``None``), retention counts from ``now``.

    Writes into the take's folder, in this order: ``<name>.enc`` for each sound, ``key.json`` (the wrapped
    data key), ``manifest.json``.  After an interruption before the last, everything is written again.  Raises
    :class:`SealError` (``seal.sound_changed``: a file changed since it was encoded; ``seal.key_foreign``;
    ``seal.endorsement_time``: the signing key has expired), ``OSError`` (a full disk).
    """
    start, folder = encoded.take.start, encoded.take.folder
    usable = start.announcement is not None or start.import_keep_until is not None
    if start.tenant is None or start.line is None or not usable:
        raise SealError(
            "seal.no_line",
            f"recording {start.recording} has no line, tenant or announcement",
            "look at `call.json` in the take's folder: the daemon writes all three",
        )
    if tenant_key.tenant != start.tenant:
        raise SealError(
            "seal.key_foreign",
            f"the key belongs to tenant {tenant_key.tenant}, and the recording to {start.tenant}",
            RESTORE,
        )
    data_key, wrapped = keyring.new_data_key(tenant_key, start.recording, entropy)
    objects = [
        _encrypt(sound, folder, start.recording, data_key, entropy)
        for sound in sorted(encoded.sounds, key=lambda sound: sound.name)
    ]
    when = correct_times(encoded.take, now, uptime)
    manifest = _manifest(encoded, objects, data_key, tenant_key, signer, when, entropy)
    content = MANIFEST.write(manifest, signer)
    write_file(folder / KEY_FILE, wrapped.to_bytes())
    write_file(folder / NAME, content)
    return _sealed(folder, manifest, content, wrapped)


def read_sealed(folder: Path, root: Ed25519PublicKey, now: datetime | None = None) -> SealedTake:
    """A take that :func:`seal` finished, read from its folder.  Raises :class:`SealError`, ``OSError``."""
    content = (folder / NAME).read_bytes()
    wrapped = WrappedKey.from_bytes((folder / KEY_FILE).read_bytes())
    manifest = open_manifest(content, root, now)
    if wrapped.key_id != manifest.keys.data:
        raise SealError(
            "seal.key_foreign",
            f"{folder / KEY_FILE} is not the key that the manifest names",
            "remove `manifest.json` and `key.json` from the take's folder: the worker seals it again",
        )
    return _sealed(folder, manifest, content, wrapped)


def open_manifest(content: bytes, root: Ed25519PublicKey, now: datetime | None = None) -> Manifest:
    """Read a manifest and verify it from the root's public key alone.

    With ``now``, a manifest dated in the future is refused as well.  Raises :class:`SealError`; its
    ``error_id`` says which check failed, in this order: form (``seal.not_json``,
    ``seal.duplicate_field``, ``seal.not_canonical``), the envelope's fields, the endorsement
    (``seal.endorsement_…``), ``seal.signature``, ``seal.version``, ``seal.unknown_field``,
    ``seal.field``, ``seal.contradiction``.
    """
    signed = MANIFEST.read(content, root)
    signed_document.check_not_future("manifest", signed.at, now)
    return replace(signed.value, signing_key_id=signed.key_id)


def _encrypt(sound: EncodedSound, folder: Path, recording: str, data_key: Secret, entropy: Entropy) -> Object:
    target = folder / (sound.name + ENCRYPTED)
    data = streaming_aead.associated_data(recording, sound.name)
    stored = streaming_aead.encrypt(sound.path, target, data_key.key, data, entropy)
    if stored.plain_sha256 != sound.sha256 or stored.plain_length != sound.length:
        raise SealError(
            "seal.sound_changed",
            f"{sound.path} changed after encoding: its hash or length differs",
            "check the disk, then encode the take again",
        )
    return Object(
        name=sound.name,
        media_type=sound.media_type,
        plain_sha256=stored.plain_sha256,
        plain_length=stored.plain_length,
        stored_sha256=stored.sha256,
        stored_length=stored.length,
        blocks=stored.blocks,
    )


def _manifest(
    encoded: Encoded,
    objects: list[Object],
    data_key: Secret,
    tenant_key: WrappedKey,
    signer: signing.Signer,
    when: Timing,
    entropy: Entropy,
) -> Manifest:
    take, start = encoded.take, encoded.take.start
    assert start.tenant is not None
    assert start.line is not None
    consent = consent_record.consent(encoded)
    announced = _announced(encoded, when.kept_from) if consent.allows else None
    questions = consent_record.keep_questions(encoded)
    parties = Parties(start.external_party, take.end.internal_party, _joined(encoded), start.caller_name)
    unannounced_until = max(when.ended_at, when.kept_from) + UNANNOUNCED_KEEP
    manifest = Manifest(
        recording=start.recording,
        tenant=start.tenant,
        line=start.line,
        number=start.number,
        direction=start.direction,
        node=start.node,
        channel=start.channel,
        started_at=when.started_at,
        bridged_at=when.bridged_at,
        ended_at=when.ended_at,
        sealed_at=when.sealed_at,
        uncorrected=when.uncorrected,
        keep_until=unannounced_until
        if start.import_keep_until is None
        else truncate(start.import_keep_until),
        duration_ms=encoded.duration_ms,
        drift_ms=encoded.drift_ms,
        sample_rate=encoded.sample_rate,
        announced=announced,
        unannounced=None if announced else _unannounced(encoded, consent),
        consent=consent,
        keep_questions=questions,
        keep_consent=consent_record.keep_consent(
            announced is not None, questions, start.keep, when.kept_from
        ),
        markers=tuple(_marker(marker) for marker in encoded.markers),
        gaps=encoded.gaps,
        objects=tuple(objects),
        parties=encrypt_parties(parties, start.recording, data_key, entropy),
        keys=KeyIds(data_key.id, tenant_key.key_id),
        software=f"accord {__version__}",
        signing_key_id=signer.key_id,
    )
    until = [each.until for each in manifest.purposes]
    return replace(manifest, keep_until=max(until)) if until else manifest


def _announced(encoded: Encoded, kept_from: datetime) -> Announced | None:
    found, announcement = encoded.announced, encoded.take.start.announcement
    if found is None or announcement is None:
        return None
    until = kept_from + timedelta(days=announcement.keep_days)
    return Announced(
        id=announcement.id,
        version=announcement.version,
        language=announcement.language,
        text=announcement.text,
        keep_days=announcement.keep_days,
        sound_sha256=announcement.sha256,
        purposes=tuple(AnnouncedPurpose(code, until) for code in announcement.purposes),
        offset_ms=found.offset_ms,
        end_ms=found.end_ms,
        score=round(found.score, 6),
    )


def _unannounced(encoded: Encoded, consent: Consent) -> str:
    if encoded.take.start.import_keep_until is not None:
        return IMPORTED
    if not consent.allows:
        return "no_consent"
    finished = encoded.take.first("announcement_finished") is not None
    return "not_found_in_audio" if finished else "not_finished"


def _marker(marker: LocatedMarker) -> SealedMarker:
    return SealedMarker(truncate(marker.at), marker.kind, withhold_identity(marker.data), marker.offset_ms)


def _joined(encoded: Encoded) -> tuple[JoinedParty, ...]:
    return tuple(
        JoinedParty(marker.offset_ms, Party(marker.data["party"], marker.data["value"]))
        for marker in encoded.markers
        if is_arrival(marker) and {"party", "value"} <= set(marker.data)
    )


def _sealed(folder: Path, manifest: Manifest, content: bytes, wrapped: WrappedKey) -> SealedTake:
    place = manifest.prefix
    uploads = [
        Upload(place + each.name, folder / (each.name + ENCRYPTED), each.stored_sha256)
        for each in manifest.objects
    ]
    key_path = data_key_path(manifest.tenant, manifest.recording)
    uploads.append(Upload(key_path, folder / KEY_FILE, hashlib.sha256(wrapped.to_bytes()).hexdigest()))
    uploads.append(Upload(place + NAME, folder / NAME, hashlib.sha256(content).hexdigest()))
    return SealedTake(folder, manifest, content, wrapped, tuple(uploads))
