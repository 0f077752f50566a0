"""Erases what has expired: recordings, and takes in quarantine.

Erasing reverses the order of writing, keys first: the wrapped key in the bucket, its copy in the catalogue,
then every version of the objects. Their absence is verified, and the tombstone is put beside the manifest,
which stays (docs/reference/formats.md gives the reason). Last, the row becomes a tombstone. After an
interruption everything is repeated: a recording is due until its row is a tombstone.

The catalogue lists what is due, and the bucket decides: a changed row erases nothing early, and a recording
on legal hold stays. After a rebuild nothing is erased until the holds are confirmed.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import structlog

from recorder import metrics
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.erased_call_queries import erased_among
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import to_iso
from recorder.errors import AuditLogError, SealError, StoreError
from recorder.isolation import isolate_object
from recorder.lifecycle import amendments, recordings
from recorder.lifecycle.amendment_store import chain_of_row, put
from recorder.lifecycle.expired_recording import ExpiredRecording, check_expired
from recorder.lifecycle.hold_review import holds_unconfirmed
from recorder.lifecycle.quarantined_take import over_in_quarantine
from recorder.lifecycle.statements import statements_of
from recorder.seal.amendment import SYSTEM, number_in
from recorder.seal.amendment_chain import Chain, make_tombstone
from recorder.seal.dispute_copy import folder_of
from recorder.seal.keyring import data_key_path
from recorder.seal.sealing import NAME as MANIFEST
from recorder.services import Services
from recorder.spool.layout import QUARANTINE, finish_removals, remove_take
from recorder.store.contract import Conflict, NotFound, Store, Unreachable

log = structlog.get_logger()


def destroy_due(services: Services, now: datetime) -> int:
    """Erase expired recordings, longest expired first; returns how many. Several workers share the work: each
    takes a lease for each recording (:mod:`recorder.catalogue.tables.lease`).

    A recording that cannot be erased, or that the bucket keeps for longer, is reported, stays, and delays no
    other. Raises :class:`Unreachable`; the recording in progress is still due then."""
    if (since := holds_unconfirmed()) is not None:
        if due := recordings.due(now):
            metrics.RECORDINGS_NOT_ERASED.labels("holds").inc()
            services.faults.report(
                "retention.suspended",
                "legal holds have not been confirmed since the rebuild",
                since=to_iso(since),
                recording=due[0][1],
                hint="review the holds, then run `accord rebuild --confirm-holds`",
            )
        return 0
    services.faults.recover("retention.suspended")
    owner, started = services.entropy(8).hex(), time.monotonic()
    lease.delete_expired(now)
    destroyed = 0
    for tenant, recording in recordings.due(now):
        # Thousands of recordings take longer than a lease lasts.
        claimed = now + timedelta(seconds=time.monotonic() - started)
        with isolate_object(services.faults, "recording.erasure_failed", recording, recording=recording):
            row = queries.recording(tenant, recording)
            destroyed += row is not None and destroy_one(row, services, owner, now, claimed)
    return destroyed


def destroy_one(
    row: RecordingRow, services: Services, owner: str, now: datetime, claimed: datetime | None = None
) -> bool:
    """Erase a recording if it has expired and no other worker is erasing it; returns whether it did.
    ``claimed`` is the time of the lease. Raises what :func:`check_expired` and :func:`destroy` raise."""
    claim = f"recording:{row.id}"
    if not lease.take(claim, owner, claimed or now):
        return False
    try:
        return recordings.is_due(row, now) and _destroy_one(row, services, now)
    finally:
        lease.release(claim, owner)


def _destroy_one(row: RecordingRow, services: Services, now: datetime) -> bool:
    try:
        destroy(check_expired(row, services.store, services.trust, now), services, now)
    except Unreachable:
        raise
    except Exception as error:
        refused = isinstance(error, SealError | AuditLogError)
        metrics.RECORDINGS_NOT_ERASED.labels("refused" if refused else "failed").inc()
        raise
    return True


def destroy(expired: ExpiredRecording, services: Services, now: datetime) -> None:
    """Erase one recording everywhere. Can be repeated, and resumes after an interruption.

    Raises :class:`StoreError`; :class:`SealError` if the tombstone cannot be signed: the recording is gone
    all the same, and its row stays due until it has a tombstone."""
    store, boundary, eraser = services.store, services.boundary, services.eraser
    row, chain, why = expired.row, expired.chain, expired.why
    key = data_key_path(row.tenant, row.id)
    eraser.delete(key)
    boundary("key deleted")
    _drop_key(expired)
    boundary("key forgotten")
    known = [*(each.name for each in chain.manifest.objects), *(each.name for each in row.objects)]
    sealed = list(dict.fromkeys(row.prefix + each for each in known))
    # Also by name: a listing omits an object whose newest version is a delete marker.
    copies = store.list(folder_of(row.tenant, row.id))  # of disputes' statements, under this key
    for place in dict.fromkeys([*sealed, *store.list(row.prefix), *copies]):
        name = place.removeprefix(row.prefix)
        # Every amendment stays, including one that another node has just put: a tombstone, or a hold.
        if name != MANIFEST and number_in(name) is None:
            eraser.delete(place)
            boundary(f"deleted {name}")
    _check_gone(store, [key, *sealed])
    boundary("looked")
    if chain.erased is None:
        chain = _bury(row, chain, why, services, now)
    boundary("buried")
    amendments.list_tombstone(chain, now=now, entropy=services.entropy)
    boundary("destroyed")
    metrics.RECORDINGS_ERASED.labels(why).inc()
    log.info("recording.erased", recording=row.id, why=why)


def _drop_key(expired: ExpiredRecording) -> None:
    """Drop the catalogue's copy of the wrapped key, before anything else is dropped."""
    row = expired.row
    with writing():
        condition = (RecordingTable.tenant == row.tenant) & (RecordingTable.id == row.id)
        RecordingTable.update(wrapped_key=None).where(condition).execute()


def _check_gone(store: Store, places: list[str]) -> None:
    for place in places:
        try:
            store.size(place)
        except NotFound:
            continue
        raise StoreError(
            "store.not_deleted",
            f"{place} was deleted but still exists",
            "check whether another program puts it back",
        )


def _bury(row: RecordingRow, chain: Chain, why: str, services: Services, now: datetime) -> Chain:
    """The chain with a tombstone at its end: ours, or that of another node that was faster."""
    try:
        put(services.store, chain, make_tombstone(chain, why), SYSTEM, services.signer, services.root, now)
    except Conflict:
        log.warning("tombstone.conflict", recording=chain.manifest.recording)
    chain = chain_of_row(row, services.store, services.root, services.revoked())
    if chain.erased is None:
        raise StoreError(
            "store.conflict",
            f"recording {chain.manifest.recording} was amended while it was being erased",
            "the worker tries again",
        )
    return chain


def empty_quarantine(services: Services, now: datetime) -> int:
    """Erase takes in quarantine that have expired, and those whose call was erased at its person's request by
    a signed note, each after its leaf; returns how many. Raises ``OSError``,
    :class:`recorder.errors.StoreError`."""
    quarantine, statements = services.spool / QUARANTINE, statements_of(services)
    if not quarantine.is_dir():
        return 0
    finish_removals(quarantine)
    folders = sorted(quarantine.iterdir())
    erased_names = erased_among([folder.name for folder in folders])
    expired = [
        take
        for folder in folders
        if (take := over_in_quarantine(folder, now, erased_names, statements)) is not None
    ]
    erased = 0
    for take in expired:
        folder = take.folder
        with isolate_object(services.faults, "quarantine.erasure_failed", folder.name, recording=folder.name):
            recordings.note_quarantine_erasure(folder.name, now, services.entropy)
            remove_take(take)
            metrics.QUARANTINE_ERASED.inc()
            log.info("quarantine.erased", recording=folder.name)
            erased += 1
    return erased
