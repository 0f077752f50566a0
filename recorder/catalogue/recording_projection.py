"""Derives a recording's row from its sealed documents alone: for the worker's listing, and for a rebuild from
the bucket, which yields the same row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

from recorder.catalogue.records import ObjectRow, RecordingRow
from recorder.seal.amendment import Amendment
from recorder.seal.arrivals import our_side
from recorder.seal.keep_agreement import keep_agreement
from recorder.seal.keyring import WrappedKey
from recorder.seal.manifest import Manifest, Parties
from recorder.seal.usage_terms import RetentionLimit, Terms, terms


def recording_of(
    manifest: Manifest,
    content: bytes,
    parties: Parties | None,
    key: WrappedKey | None,
    amendments: Sequence[Amendment] = (),
    limits: Sequence[RetentionLimit] = (),
) -> RecordingRow:
    """The row of a recording. ``content`` are the manifest's bytes; parties and key are ``None`` if they were
    erased; ``limits`` are the customer's retention limits."""
    announced = manifest.announced
    current = terms(manifest, amendments, limits)
    internal_party = None if parties is None else parties.internal_party
    ours = () if parties is None else our_side(manifest, parties)
    return RecordingRow(
        id=manifest.recording,
        tenant=manifest.tenant,
        line=manifest.line,
        number=manifest.number,
        direction=manifest.direction,
        external_party=None if parties is None else parties.external_party,
        internal_party=internal_party,
        started_at=manifest.started_at,
        duration_ms=manifest.duration_ms,
        announcement=announced.id if announced else "",
        announcement_version=announced.version if announced else 0,
        announced=announced is not None,
        purposes=tuple(purpose.code for purpose in current.purposes),
        restricted=(),
        keep_answer=manifest.keep_answer,
        keep_until=current.until,
        prefix=manifest.prefix,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        wrapped_key=None if key is None else key.to_bytes().decode(),
        objects=tuple(ObjectRow(each.name, each.media_type, each.plain_length) for each in manifest.objects),
        stored_bytes=sum(each.stored_length for each in manifest.objects) + len(content),
        stored_at=manifest.sealed_at,
        erased_at=None,
        erasure_reason=None,
        import_sha256=manifest.import_sha256,
        consented_until=consents_in(current),
        agreement=keep_agreement(manifest, amendments, current),
        colleagues=ours if set(ours) - {internal_party} else None,
    )


def consents_in(current: Terms) -> tuple[tuple[str, date], ...]:
    """The purposes for which retention was agreed, each with its last day (UTC)."""
    agreed = (
        (each.code, each.consented_until.date())
        for each in current.purposes
        if each.consented_until is not None
    )
    return tuple(sorted(agreed))
