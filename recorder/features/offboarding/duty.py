"""The worker's duty for offboarding: it erases a departed customer by order of a signed statement, and signs
a receipt.

Each recording is erased as any other: the deletion is sealed beside it, its keys and every version of its
objects are deleted, and a tombstone is put. Then unrecorded calls and the customer's users are dropped, and
last the customer's own keys are destroyed, so that no copy of a recording's wrapped key opens anything.
Finally the log is signed, and the receipt is put into bucket and catalogue. After an interruption the work
resumes: what exists shows what is done.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import checkpoint
from recorder.catalogue import tenant_queries
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables import lease
from recorder.errors import AccessError, RetentionError, SealError, StoreError
from recorder.features.offboarding import queries
from recorder.features.offboarding.service import check_ready
from recorder.ids import Entropy
from recorder.isolation import isolate_object
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.erasure_deadline import erasure_complete_at
from recorder.lifecycle.erasure_order import ErasureOrder, erasure_order
from recorder.lifecycle.key_rotation import CLAIM
from recorder.seal import hints
from recorder.seal.amendment import SYSTEM
from recorder.seal.amendment_kinds import Erased
from recorder.seal.document_source import read_document
from recorder.seal.keyring import (
    WrappedKey,
    key_part,
    next_tenant_key_path,
    recording_of_path,
    tenant_key_path,
)
from recorder.seal.offboarding import (
    RECEIPT_KIND,
    RECEIPT_MAX_BYTES,
    ErasureStatement,
    OffboardingReceiptBody,
    ReceiptArchive,
    ReceiptKeys,
    ReceiptLog,
    place_of,
)
from recorder.seal.offboarding import read_receipt as read
from recorder.seal.revocation import Revoked, check_signer
from recorder.seal.sealing import NAME as MANIFEST
from recorder.services import Services
from recorder.store.contract import NotFound, Store

REASON: Final = "Its customer has left; it was handed what could be handed over."

log = structlog.get_logger()


def erase_due(
    services: Services,
    now: datetime,
    seconds: float = 45.0,
    elapsed: Callable[[], float] = time.monotonic,
) -> int:
    """Erase the data of customers whose erasure a signed statement orders; stop after ``seconds`` and resume
    the next time. Returns how many receipts were written. A customer who cannot be erased is reported
    and delays no other. Raises :class:`Unreachable`."""
    until, count = elapsed() + seconds, 0
    for tenant in queries.departures_to_erase():
        with isolate_object(services.faults, "offboarding.delayed", tenant, tenant=tenant):
            order = erasure_order(tenant, services, now)
            check_ready(tenant)
            if _destroy(order, services, now, lambda: elapsed() >= until):
                count += _finish(order, services, now)
    return count


def _destroy(order: ErasureOrder, services: Services, now: datetime, out_of_time: Callable[[], bool]) -> bool:
    """Erase recordings; true once none is left."""
    tenant = order.tenant
    changes = Changes(
        services.store,
        services.root,
        services.signer,
        lambda: now,
        services.entropy,
        services.boundary,
        services.revoked,
    )
    owner = services.entropy(8).hex()
    for each in _recordings(tenant):
        if out_of_time():
            break
        with isolate_object(services.faults, "offboarding.erasure_failed", each.id, recording=each.id):
            with suppress(AccessError):  # it has a tombstone: only the row is left
                changes.leave(changes.look(tenant, each.id), SYSTEM, reason=REASON)
            expiry.destroy_one(each, services, owner, now)
    left = queries.count_recordings(tenant)
    log.info("offboarding.erasing", tenant=tenant, left=left)
    return left == 0


def _recordings(tenant: str) -> Iterator[RecordingRow]:
    after = ""
    while page := queries.recordings_of(tenant, after):
        yield from page
        after = page[-1].id


def _finish(order: ErasureOrder, services: Services, now: datetime) -> bool:
    tenant = order.tenant
    destroyed = check_all_erased(tenant, services.store, services.root, services.revoked())
    services.boundary("recordings gone")
    calls = queries.drop_calls(order, now=now, entropy=services.entropy)
    services.boundary("calls forgotten")
    people = queries.drop_users(order, now=now, entropy=services.entropy)
    queries.drop_request_texts(order)
    services.boundary("people forgotten")
    keys = destroy_keys(order, services.eraser, now, services.entropy, services.boundary)
    content = _there(tenant, services.store)
    if content is None:
        checkpoint.sign(tenant, services, now)
        services.boundary("signed")
        checkpoint.publish(tenant, services, now)
        services.boundary("published")
        body = _receipt(order.statement, services, destroyed, calls, people, keys, now)
        content = RECEIPT_KIND.write(body, services.signer)
        read(content, services.root)
        _put(services.store, place_of(tenant), content)
    services.boundary("receipt put")
    receipt = read(content, services.root)
    check_signer(receipt.key, receipt.at, "the receipt", services.revoked())
    if receipt.tenant != tenant:
        raise SealError(
            "offboarding.foreign",
            f"the receipt of customer {tenant} names customer {receipt.tenant}",
            hints.OBJECT,
        )
    sha256 = hashlib.sha256(content).hexdigest()
    count = queries.record_receipt(
        tenant, content.decode(), sha256, receipt.at, now=now, entropy=services.entropy
    )
    services.boundary("left")
    log.info("offboarding.completed", tenant=tenant, receipt_sha256=sha256)
    return count


def check_all_erased(tenant: str, store: Store, root: Ed25519PublicKey, revoked: Revoked) -> dict[str, int]:
    """How many of a customer's recordings were erased, by reason, according to the tombstones in the bucket.
    Raises :class:`RetentionError` (``offboarding.not_erased``) for a recording without a valid tombstone,
    whose key must be kept: it may be unlisted or on hold. Raises :class:`SealError`, :class:`StoreError`."""
    counted: dict[str, int] = {}
    for place, keys in groupby(store.list(f"{key_part(tenant)}/"), lambda key: key[: key.rindex("/") + 1]):
        names = {key.removeprefix(place) for key in keys}
        if MANIFEST not in names:
            continue  # nothing was committed
        chain = chain_of(store, place, root)
        chain.check()
        tombstone, sealed = chain.erased, {each.name for each in chain.manifest.objects}
        doubted = tombstone is not None and tombstone.signing_key_id in revoked and sealed & names
        if tombstone is None or doubted or not isinstance(tombstone.data, Erased):
            raise RetentionError(
                "offboarding.not_erased",
                f"{place} has a recording without a valid tombstone",
                "`accord rebuild` lists it; if it is on hold, decide the hold first",
            )
        counted[tombstone.data.reason] = counted.get(tombstone.data.reason, 0) + 1
    return counted


def destroy_keys(
    order: ErasureOrder,
    store: Store,
    now: datetime,
    entropy: Entropy,
    boundary: Callable[[str], None] = lambda _boundary: None,
) -> tuple[str, ...]:
    """Destroy every key that a customer has had, in catalogue and bucket; returns their ids. The catalogue's
    key goes first, with a leaf that names all of them, so that a later run knows them and no process puts one
    back. Can be repeated.

    Raises :class:`SealError` (``keys.busy`` during a key rotation; as :meth:`ErasureOrder.confirm`),
    :class:`StoreError`."""
    tenant, owner = order.tenant, f"leaving-{entropy(8).hex()}"
    if not lease.take(CLAIM, owner, now):
        raise SealError("keys.busy", "a key rotation is in progress", "the worker tries again")
    try:
        places = _own_keys(tenant, store)
        found = [read_document(store, place, WrappedKey.MAX_BYTES) for place in places]
        if (text := tenant_queries.tenant_wrapped_key(tenant)) is not None:
            found.append(text.encode())
        ids = [key_id for each in found if (key_id := _key_id(each, tenant)) is not None]
        destroyed = queries.drop_key(order, ids, now=now, entropy=entropy)
        boundary("customer's key forgotten")
        # Also by name: a listing omits an object whose newest version is a delete marker.
        for place in dict.fromkeys([*places, tenant_key_path(tenant), next_tenant_key_path(tenant)]):
            store.delete(place)
        boundary("customer's keys deleted")
    finally:
        lease.release(CLAIM, owner)
    if left := _own_keys(tenant, store):
        raise StoreError(
            "store.not_deleted", f"{left[0]} still exists", "check whether another program puts it back"
        )
    return destroyed


def _own_keys(tenant: str, store: Store) -> list[str]:
    """The places of a customer's keys, other than those of recordings."""
    return [key for key in store.list(f"keys/{key_part(tenant)}/") if recording_of_path(key) is None]


def _key_id(content: bytes, tenant: str) -> str | None:
    """The id of a customer's wrapped key; ``None`` for anything else."""
    try:
        key = WrappedKey.from_bytes(content)
    except SealError:
        return None
    return key.key_id if key.tenant == tenant else None


def _receipt(
    statement: ErasureStatement,
    services: Services,
    recordings_erased: dict[str, int],
    calls: int,
    people: int,
    keys: tuple[str, ...],
    now: datetime,
) -> OffboardingReceiptBody:
    head = checkpoint.newest(statement.tenant)
    assert head is not None
    handed, backups_kept = statement.handed_over, services.backups_kept
    archive = None
    if handed is not None:
        archive = ReceiptArchive(handed.at, handed.length, handed.recordings, handed.omitted)
    complete = erasure_complete_at(now, backups_kept)
    return OffboardingReceiptBody(
        tenant=statement.tenant,
        statement=statement.sha256,
        announced_at=statement.announced_at,
        handed_over=archive,
        erasing_since=statement.at,
        erased_at=now,
        recordings_erased=recordings_erased,
        erased=(
            "recordings' keys",
            "recordings' objects, every version",
            "calls that were not recorded",
            "names and log-ins",
            "who asked for their recordings",
            "differences with other people",
            "the customer's keys",
        ),
        calls_erased=calls,
        people_erased=people,
        remains=(
            "manifests and amendments without keys, with the reasons in them",
            "the log's leaves, with the addresses that got checkpoints by mail",
            "announcements",
        ),
        log=ReceiptLog(head.size, head.root, head.number),
        keys=ReceiptKeys(keys, complete),
        backups_kept_days=backups_kept.days,
        complete_from=complete,
    )


def _there(tenant: str, store: Store) -> bytes | None:
    try:
        return read_document(store, place_of(tenant), RECEIPT_MAX_BYTES)
    except NotFound:
        return None


def _put(store: Store, key: str, content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        store.put(key, Path(file.name), hashlib.sha256(content).hexdigest())
