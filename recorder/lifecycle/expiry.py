"""Erases what has expired: recordings, and takes in quarantine.

Erasing reverses the order of writing, keys first: the wrapped key in the bucket, its copy in the catalogue,
then every version of the objects. Their absence is verified, and the tombstone is put beside the manifest,
which stays (docs/reference/formats.md gives the reason). Last, the row becomes a tombstone. After an
interruption everything is repeated: a recording is due until its row is a tombstone.

The catalogue lists what is due, and the bucket decides: a changed row erases nothing early, and a recording
on legal hold stays. After a rebuild nothing is erased until the holds are confirmed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import metrics
from recorder.catalogue import queries
from recorder.catalogue.erased_call_queries import erased_among
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables import lease
from recorder.clock import from_iso, to_iso
from recorder.errors import SealError, StoreError, TakeError
from recorder.isolation import isolate_object
from recorder.lifecycle import amendments, recordings, retention_limits
from recorder.lifecycle.amendment_store import chain_of_row, put
from recorder.lifecycle.hold_review import check_confirmed, holds_unconfirmed
from recorder.lifecycle.limits import limits_of
from recorder.lifecycle.statements import Statements, statements_of
from recorder.seal.amendment import SYSTEM, number_in
from recorder.seal.amendment_chain import Chain, make_tombstone
from recorder.seal.dispute_copy import folder_of
from recorder.seal.keyring import data_key_path
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.usage_terms import Terms, terms
from recorder.services import Services
from recorder.spool.layout import QUARANTINE, QUARANTINE_REASON, finish_removals, read_start, remove_take
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
        chain = check_expired(row, services.store, services.root, now, services.revoked)
        destroy(row, chain, _terms(row, chain, services.trust).why, services, now)
    except Unreachable:
        raise
    except Exception as error:
        refused = isinstance(error, SealError)
        metrics.RECORDINGS_NOT_ERASED.labels("refused" if refused else "failed").inc()
        raise
    return True


def check_expired(
    row: RecordingRow,
    store: Store,
    root: Ed25519PublicKey,
    now: datetime,
    revoked: Callable[[], Revoked] = none_revoked,
) -> Chain:
    """Compare a row that is due with what was sealed; returns the recording's manifest and amendments.

    Raises :class:`SealError` if the sealed time is not over (``seal.row_differs``), if the recording is on
    hold (``recording.held``), if the holds are not confirmed after a restore or rebuild
    (``retention.holds_unconfirmed``), if the manifest is missing (``seal.manifest_missing``) or another
    recording's (``seal.manifest_foreign``), if it or an amendment is invalid, if a revoked key signed an
    amendment (``seal.key_revoked``), or if the recording has expired by a retention limit that the bucket
    does not contain (``retention.differs``); :class:`StoreError`."""
    trust = Trust(root, revoked)
    check_confirmed(row.tenant, trust)
    chain = chain_of_row(row, store, root, revoked())
    if chain.holds:
        numbers = ", ".join(str(each.number) for each in chain.holds)
        raise SealError(
            "recording.held",
            f"recording {row.id} is on legal hold (amendment {numbers}) that the catalogue lacks",
            "run `accord rebuild` to complete the catalogue",
        )
    amendments.check_holds(chain)
    until = _terms(row, chain, trust).until
    if chain.erased is None and until > now:
        raise SealError(
            "seal.row_differs",
            f"the catalogue keeps recording {row.id} until {to_iso(row.keep_until)}, "
            f"but it was sealed until {to_iso(until)}",
            "run `accord audit run`: the row was changed after it was written",
        )
    if chain.erased is None and terms(chain.manifest, chain.amendments).until > now:
        retention_limits.check_stored(row.tenant, store, trust)
    return chain


def _terms(row: RecordingRow, chain: Chain, trust: Trust) -> Terms:
    return terms(chain.manifest, chain.amendments, limits_of(row.tenant, trust))


def destroy(row: RecordingRow, chain: Chain, why: str, services: Services, now: datetime) -> None:
    """Erase one recording everywhere. Can be repeated, and resumes after an interruption.

    Raises :class:`StoreError`; :class:`SealError` if the tombstone cannot be signed: the recording is gone
    all the same, and its row stays due until it has a tombstone."""
    store, boundary, eraser = services.store, services.boundary, services.eraser
    key = data_key_path(row.tenant, row.id)
    eraser.delete(key)
    boundary("key deleted")
    recordings.drop_key(row)
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
        folder
        for folder in folders
        if _over(folder, now) or (folder.name in erased_names and _was_erased(folder, statements))
    ]
    erased = 0
    for folder in expired:
        with isolate_object(services.faults, "quarantine.erasure_failed", folder.name, recording=folder.name):
            recordings.note_quarantine_erasure(folder.name, now, services.entropy)
            remove_take(folder)
            metrics.QUARANTINE_ERASED.inc()
            log.info("quarantine.erased", recording=folder.name)
            erased += 1
    return erased


def _was_erased(folder: Path, statements: Statements) -> bool:
    """Whether a signed note says that a take's call was erased at its person's request. A take without an end
    date may still become a recording, to which such a note does not apply."""
    if _until(folder) is None:
        return False
    try:
        tenant = read_start(folder).tenant
    except TakeError:
        return False
    return statements.forgot(tenant, folder.name)


def _over(folder: Path, now: datetime) -> bool:
    until = _until(folder)
    return until is not None and until <= now


def _until(folder: Path) -> datetime | None:
    """The expiry of a take in quarantine; ``None`` if it has none, or if its note is unreadable: then an
    operator has put the folder there."""
    try:
        until = json.loads((folder / QUARANTINE_REASON).read_bytes())["until"]
        return None if until is None else from_iso(until)
    except (OSError, ValueError, KeyError, TypeError):
        return None
