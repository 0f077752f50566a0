"""The row of a recording, from what was sealed and nothing else: the worker lists a recording with it, and
a rebuild makes the same row again from the bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

from recorder.catalogue.records import ObjectRow, RecordingRow
from recorder.domain.parties import Party
from recorder.seal.amendment import Amendment
from recorder.seal.keyring import WrappedKey
from recorder.seal.manifest import Manifest
from recorder.seal.usage_terms import RetentionLimit, Terms, terms


def recording_of(
    manifest: Manifest,
    content: bytes,
    external_party: Party | None,
    internal_party: Party | None,
    key: WrappedKey | None,
    amendments: Sequence[Amendment] = (),
    limits: Sequence[RetentionLimit] = (),
) -> RecordingRow:
    """``content`` is the manifest's file; parties and key are ``None`` where they are gone.  ``limits`` are
    the customer's."""
    told = manifest.announced
    holds = terms(manifest, amendments, limits)
    return RecordingRow(
        id=manifest.recording,
        tenant=manifest.tenant,
        line=manifest.line,
        number=manifest.number,
        direction=manifest.direction,
        external_party=external_party,
        internal_party=internal_party,
        started_at=manifest.started_at,
        duration_ms=manifest.duration_ms,
        announcement=told.id if told else "",
        announcement_version=told.version if told else 0,
        announced=told is not None,
        purposes=tuple(purpose.code for purpose in holds.purposes),
        restricted=(),
        keep_answer=manifest.keep_answer,
        keep_until=holds.until,
        prefix=manifest.prefix,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        wrapped_key=None if key is None else key.to_bytes().decode(),
        objects=tuple(ObjectRow(each.name, each.media_type, each.plain_length) for each in manifest.objects),
        stored_bytes=sum(each.stored_length for each in manifest.objects) + len(content),
        stored_at=manifest.sealed_at,
        erased_at=None,
        erasure_reason=None,
        import_sha256=manifest.import_sha256,
        consented_until=consents_in(holds),
    )


def consents_in(told: Terms) -> tuple[tuple[str, date], ...]:
    """The purposes that were agreed to, each with the day up to which."""
    return tuple(
        sorted(
            (each.code, each.consented_until.date())
            for each in told.purposes
            if each.consented_until is not None
        )
    )
