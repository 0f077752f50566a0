"""Plans a handover: which recordings a departing customer is given, and the archive's layout
(``archive.py``).

`accord offboarding export` fixes both, and the customer downloads the archive (``download.py``). Nothing
is sent here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from recorder.auditlog.inclusion_proof import last_checkpoint
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.database import connected
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.catalogue.records import RecordingRow
from recorder.clock import truncate
from recorder.errors import AccessError, SealError
from recorder.features.offboarding import csv_tables, documents, handover_queries, queries, tar
from recorder.features.offboarding.archive import ABOUT, LOG
from recorder.features.offboarding.handover_queries import HandedRow
from recorder.lifecycle.limits import limits_of
from recorder.playback.audio_reader import PEAKS
from recorder.playback.verified_recording import RecordingVerifier, VerifiedRecording
from recorder.seal.amendment import name as amendment_name
from recorder.seal.manifest import decrypt_parties
from recorder.seal.offboarding import HandedOver
from recorder.seal.revocation import Trust
from recorder.seal.sealing import NAME
from recorder.seal.usage_terms import terms
from recorder.store.contract import Store

log = structlog.get_logger()


def prepare_handover(
    tenant: str,
    seals: RecordingVerifier,
    store: Store,
    root_pem: bytes,
    sign: Callable[[HandedOver], str],
    *,
    anew: bool,
    now: datetime,
    entropy: Callable[[int], bytes],
    tell: Callable[[int], None] = lambda _count: None,
) -> OffboardingRow:
    """Plan a customer's handover; resumes after an interruption. ``sign`` signs the result and returns the
    statement's SHA-256; ``tell`` is called with the number of recordings planned. Raises
    :class:`CatalogueError` (``offboarding.not_announced``, ``offboarding.erasing``, ``offboarding.changed``),
    :class:`StoreError`."""
    row = handover_queries.begin_handover(tenant, anew=anew, now=now, entropy=entropy)
    if row.handed_at is not None:
        return row
    handover = row.handover or ""
    position = handover_queries.last_recording(tenant)
    number, at = (
        (0, tar.file_length(len(documents.readme())))
        if position is None
        else (position.number + 1, position.at + position.length)
    )
    after = "" if position is None else position.recording
    tell(number)
    while page := queries.recordings_of(tenant, after):
        rows = []
        for each in page:
            rows.append(_look(each, number, at, seals, store, row.log_size, now))
            number, at = number + 1, at + rows[-1].length
        handover_queries.add_recordings(tenant, handover, rows)
        after = page[-1].id
        tell(number)
    last = _last_papers(tenant, row, store, root_pem, now, seals.trust)
    length = at + sum(tar.file_length(size) for _, size, _, _ in last) + tar.END
    layout, counted = {"papers": last, "at": at}, handover_queries.count_reasons(tenant)
    hashes = handover_queries.layout_sha256(layout), handover_queries.rows_sha256(tenant)
    statement = HandedOver(
        handover, truncate(now), length, counted.pop("", 0), sum(counted.values()), *hashes
    )
    handover_queries.complete_handover(
        tenant, handover, layout, length, statement.at, sign(statement), now=now, entropy=entropy
    )
    return queries.require_departure(tenant)


def reason_left_out(sealed: VerifiedRecording, now: datetime, trust: Trust) -> str | None:
    """The id of the reason why a recording is not handed over; ``None`` if it is. The customer is the
    controller and is given its recordings, but not those that none of its users may hear any more."""
    row, manifest = sealed.row, sealed.manifest
    usage = terms(manifest, sealed.chain.amendments, limits_of(row.tenant, trust), pack_of(row.tenant))
    if manifest.import_sha256 is not None and not usage.purposes:
        return "access.imported"
    if manifest.announced is None and manifest.import_sha256 is None:
        return "access.not_announced"
    if usage.holds:
        return None
    if usage.deleted_at is not None and usage.deleted_at <= now:
        return "access.erased"
    usable = [each.code for each in usage.purposes if now < min(each.use_until, row.keep_until)]
    if not usable:
        return "access.expired"
    if not (set(usable) & set(row.purposes)) - set(row.restricted):
        return "access.purpose_restricted"
    return None


def files_of(sealed: VerifiedRecording, store: Store, log_size: int) -> tuple[tuple[str, int], ...]:
    """Names and lengths of a recording's files in the archive. Raises :class:`StoreError`."""
    row, manifest = sealed.row, sealed.manifest
    names = [NAME, *(amendment_name(each.number) for each in sealed.chain.amendments)]
    found = [(name, store.size(row.prefix + name)) for name in names]
    found.append((ABOUT, len(documents.parties_document(manifest, decrypt_parties(manifest, sealed.key)))))
    found.append((LOG, len(documents.recording_log(row.tenant, row.id, log_size))))
    found += [(each.name, each.plain_length) for each in manifest.objects if each.name != PEAKS]
    return tuple(found)


def _look(
    row: RecordingRow,
    number: int,
    at: int,
    seals: RecordingVerifier,
    store: Store,
    log_size: int,
    now: datetime,
) -> HandedRow:
    files: tuple[tuple[str, int], ...] = ()
    try:
        with connected():
            sealed = seals.open(row, now)
            why = reason_left_out(sealed, now, seals.trust)
            if why is None:
                files = files_of(sealed, store, log_size)
    except (SealError, AccessError) as error:
        why = error.error_id
        log.error("handover.recording_skipped", recording=row.id, error_id=why, error=error.message)
    length = sum(tar.file_length(size) for _, size in files)
    return HandedRow(number, row.id, why, len(documents.recording_line(row, why)), at, length, files, None)


def _last_papers(
    tenant: str, row: OffboardingRow, store: Store, root_pem: bytes, now: datetime, trust: Trust
) -> list[tuple[str, int, str, Any]]:
    """The files after the recordings: each file's name, length, kind, and source."""
    found: list[tuple[str, int, str, Any]] = []
    first = 0
    while rows := handover_queries.handed_recordings(tenant, first, documents.ROWS):
        length = len(documents.HEAD) + sum(each.row_length for each in rows)
        found.append((f"tables/recordings-{len(found) + 1:05}.csv", length, "table", first))
        first = rows[-1].number + 1
    for number, (length, calls) in enumerate(csv_tables.call_tables(tenant), 1):
        found.append((f"tables/not-recorded-{number:05}.csv", length, "calls", calls))
    listing, sounds = documents.announcements(tenant, now)
    found.append(("announcements/announcements.json", len(listing), "text", listing.decode()))
    found += [
        (f"announcements/{each}.wav", len(documents.announcement_sound(each)), "sound", each)
        for each in sounds
    ]
    for begin in range(0, row.log_size, documents.ROWS):
        end = min(begin + documents.ROWS, row.log_size)
        content = documents.log_part(tenant, begin, end)
        found.append((f"log/leaves-{begin:010}.jsonl", len(content), "leaves", [begin, end]))
    texts = csv_tables.fixed_tables(tenant, trust) | {"log/root.pub": root_pem.decode()}
    if (signed := last_checkpoint(tenant, row.log_size, store, trust.root)) is not None:
        texts["log/checkpoint.note"], texts["log/checkpoint.endorsement.json"] = signed
    found += [(name, len(text.encode()), "text", text) for name, text in sorted(texts.items())]
    return found
