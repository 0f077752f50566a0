"""A manifest's body as JSON, version 1: written, and read strictly.

Version 1 is closed: an unknown version, an unknown field, or fields that contradict each other are
refused.  Every field is described in docs/formats.md.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from recorder.audio.encoded_take import Gap
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal import canonical_json, streaming_aead
from recorder.seal.canonical_json import Fields
from recorder.seal.consent_codec import (
    agreed_body,
    agreement_body,
    consent_body,
    nonsense_in,
    nonsense_in_consent,
    read_agreed,
    read_agreement,
    read_consent,
)
from recorder.seal.consent_record import counts
from recorder.seal.keyring import Secret, part
from recorder.seal.manifest import (
    Announced,
    AnnouncedPurpose,
    Joined,
    Manifest,
    Noted,
    Object,
    Parties,
    SealedMarker,
)

TYPE = "accord-manifest"
VERSION = 1
PARTIES = "parties"
"""The name in the associated data of the encrypted parties."""

CHANNELS = {"left": "outside_says", "right": "outside_hears"}

_PAD = 256
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def to_body(manifest: Manifest) -> dict[str, Any]:
    """What is signed."""
    told = manifest.announced
    return {
        "type": TYPE,
        "version": VERSION,
        "recording": manifest.recording,
        "tenant": manifest.tenant,
        "line": manifest.line,
        "number": manifest.number,
        "direction": manifest.direction,
        "node": manifest.node,
        "channel": manifest.channel,
        "started_at": to_iso(manifest.started_at),
        "bridged_at": None if manifest.bridged_at is None else to_iso(manifest.bridged_at),
        "ended_at": to_iso(manifest.ended_at),
        "sealed_at": to_iso(manifest.sealed_at),
        "noted": None
        if manifest.noted is None
        else {
            "started_at": to_iso(manifest.noted.started_at),
            "ended_at": to_iso(manifest.noted.ended_at),
        },
        "keep_until": to_iso(manifest.keep_until),
        "duration_ms": manifest.duration_ms,
        "drift_ms": manifest.drift_ms,
        "sample_rate": manifest.sample_rate,
        "channels": CHANNELS,
        "announcement": None
        if told is None
        else {
            "id": told.id,
            "version": told.version,
            "language": told.language,
            "text": told.text,
            "keep_days": told.keep_days,
            "sound_sha256": told.sound_sha256,
            "purposes": [{"code": each.code, "until": to_iso(each.until)} for each in told.purposes],
            "offset_ms": told.offset_ms,
            "end_ms": told.end_ms,
            "score": told.score,
        },
        "unannounced": manifest.unannounced,
        "consent": consent_body(manifest.consent),
        "agreements": [agreement_body(each) for each in manifest.agreements],
        "agreed": agreed_body(manifest.agreed),
        "markers": [
            {"at": to_iso(mark.at), "offset_ms": mark.offset_ms, "kind": mark.kind, "data": dict(mark.data)}
            for mark in manifest.markers
        ],
        "gaps": [
            {"start_ms": gap.start_ms, "end_ms": gap.end_ms, "channel": gap.channel, "reason": gap.reason}
            for gap in manifest.gaps
        ],
        "objects": [
            {
                "name": each.name,
                "media_type": each.media_type,
                "plain_sha256": each.plain_sha256,
                "plain_length": each.plain_length,
                "stored_sha256": each.stored_sha256,
                "stored_length": each.stored_length,
                "blocks": list(each.blocks),
            }
            for each in manifest.objects
        ],
        "parties": canonical_json.b64(manifest.parties),
        "keys": {"data": manifest.data_key_id, "tenant": manifest.tenant_key_id},
        "software": manifest.software,
    }


def from_body(body: object, signing_key_id: str) -> Manifest:
    """Read what :func:`to_body` wrote.  Raises :class:`SealError` (``seal.version``,
    ``seal.unknown_field``, ``seal.field``, ``seal.contradiction``)."""
    fields = Fields(body, "manifest.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    told, noted, agreed = (fields.take(name) for name in ("announcement", "noted", "agreed"))
    channels = fields.string_map("channels")
    keys = fields.fields("keys")
    manifest = Manifest(
        recording=fields.text("recording"),
        tenant=fields.text("tenant"),
        line=fields.text("line"),
        number=fields.text("number"),
        direction=fields.text("direction"),
        node=fields.text("node"),
        channel=fields.text("channel"),
        started_at=fields.time("started_at"),
        bridged_at=fields.optional_time("bridged_at"),
        ended_at=fields.time("ended_at"),
        sealed_at=fields.time("sealed_at"),
        noted=None if noted is None else _noted(Fields(noted, "manifest.body.noted")),
        keep_until=fields.time("keep_until"),
        duration_ms=fields.whole("duration_ms"),
        drift_ms=fields.whole("drift_ms", None),
        sample_rate=fields.whole("sample_rate", 1),
        announced=None if told is None else _announced(Fields(told, "manifest.body.announcement")),
        unannounced=fields.optional_text("unannounced"),
        consent=read_consent(fields.fields("consent")),
        agreements=tuple(read_agreement(each) for each in fields.each("agreements")),
        agreed=None if agreed is None else read_agreed(Fields(agreed, "manifest.body.agreed")),
        markers=tuple(_marker(each) for each in fields.each("markers")),
        gaps=tuple(_gap(each) for each in fields.each("gaps")),
        objects=tuple(_object(each) for each in fields.each("objects")),
        parties=fields.binary("parties"),
        data_key_id=keys.text("data"),
        tenant_key_id=keys.text("tenant"),
        software=fields.text("software"),
        signing_key_id=signing_key_id,
    )
    keys.end()
    fields.end()
    if channels != CHANNELS:
        fields.bad("channels", "what version 1 says of them")
    _consistent(manifest)
    return manifest


def encrypt_parties(parties: Parties, recording: str, data_key: Secret, entropy: Entropy) -> bytes:
    """The parties as they lie in a manifest.  Padded, so that the length tells nothing."""
    plain = canonical_json.dump(
        {
            "outside": _party_body(parties.outside),
            "inside": None if parties.inside is None else _party_body(parties.inside),
            "joined": [
                {"offset_ms": each.offset_ms, "party": _party_body(each.party)} for each in parties.joined
            ],
        }
    )
    padded = plain + b" " * (-len(plain) % _PAD)
    data = streaming_aead.associated(recording, PARTIES)
    return streaming_aead.encrypt_bytes(padded, data_key.key, data, entropy)


def decrypt_parties(manifest: Manifest, data_key: Secret) -> Parties:
    """Who spoke.  Raises :class:`SealError` (``seal.key_foreign``, ``seal.decryption``, ``seal.field``)."""
    manifest.check_key(data_key)
    data = streaming_aead.associated(manifest.recording, PARTIES)
    plain = streaming_aead.decrypt_bytes(manifest.parties, data_key.key, data).rstrip(b" ")
    fields = Fields(canonical_json.load(plain, PARTIES), PARTIES)
    inside = fields.take("inside")
    parties = Parties(
        outside=_party(fields.fields("outside")),
        inside=None if inside is None else _party(Fields(inside, "parties.inside")),
        joined=tuple(_joined(each) for each in fields.each("joined")),
    )
    fields.end()
    return parties


def _noted(fields: Fields) -> Noted:
    read = Noted(fields.time("started_at"), fields.time("ended_at"))
    fields.end()
    return read


def _announced(fields: Fields) -> Announced:
    read = Announced(
        id=fields.text("id"),
        version=fields.whole("version"),
        language=fields.text("language"),
        text=fields.text("text"),
        keep_days=fields.whole("keep_days"),
        sound_sha256=fields.sha256("sound_sha256"),
        purposes=tuple(_purpose(each) for each in fields.each("purposes")),
        offset_ms=fields.whole("offset_ms"),
        end_ms=fields.whole("end_ms"),
        score=fields.number("score"),
    )
    fields.end()
    return read


def _purpose(fields: Fields) -> AnnouncedPurpose:
    read = AnnouncedPurpose(fields.text("code"), fields.time("until"))
    fields.end()
    return read


def _marker(fields: Fields) -> SealedMarker:
    read = SealedMarker(
        at=fields.time("at"),
        offset_ms=fields.whole("offset_ms", None),
        kind=fields.text("kind"),
        data=fields.string_map("data"),
    )
    fields.end()
    return read


def _gap(fields: Fields) -> Gap:
    read = Gap(
        start_ms=fields.whole("start_ms"),
        end_ms=fields.whole("end_ms"),
        channel=fields.one_of("channel", ("left", "right", "both")),
        reason=fields.text("reason"),
    )
    fields.end()
    return read


def _object(fields: Fields) -> Object:
    read = Object(
        name=fields.text("name"),
        media_type=fields.text("media_type"),
        plain_sha256=fields.sha256("plain_sha256"),
        plain_length=fields.whole("plain_length"),
        stored_sha256=fields.sha256("stored_sha256"),
        stored_length=fields.whole("stored_length", 1),
        blocks=fields.hashes("blocks"),
    )
    fields.end()
    return read


def _party_body(party: Party) -> dict[str, Any]:
    return {"kind": party.kind, "value": party.value}


def _party(fields: Fields) -> Party:
    read = Party(fields.text("kind"), fields.text("value"))
    fields.end()
    return read


def _joined(fields: Fields) -> Joined:
    read = Joined(fields.whole("offset_ms", None), _party(fields.fields("party")))
    fields.end()
    return read


def _consistent(manifest: Manifest) -> None:
    """What is signed can still be nonsense; nothing after this has to wonder."""

    def refuse(what: str) -> None:
        raise SealError("seal.contradiction", f"the manifest contradicts itself: {what}")

    try:
        if str(UUID(manifest.recording)) != manifest.recording:
            raise ValueError
        part(manifest.tenant)
    except (ValueError, SealError):
        refuse("its ids are no ids")
    if not manifest.started_at <= manifest.ended_at <= manifest.sealed_at:
        refuse("it ends before it begins, or was sealed before it ended")
    if (manifest.announced is None) == (manifest.unannounced is None):
        refuse("it is neither announced nor unannounced")
    told = manifest.announced
    if told is not None:
        if not 0 <= told.offset_ms < told.end_ms <= manifest.duration_ms:
            refuse("the announcement lies outside the audio")
        if len({each.code for each in told.purposes}) != len(told.purposes):
            refuse("a purpose is named twice")
    for why in (
        nonsense_in_consent(manifest.consent, told is not None),
        nonsense_in(manifest.agreements, manifest.duration_ms),
    ):
        if why is not None:
            refuse(why)
    if (manifest.agreed is not None) != counts(told is not None, manifest.agreements):
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
