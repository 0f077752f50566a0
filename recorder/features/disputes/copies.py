"""Copies disputes' statements into the bucket, and makes disputes again from there.

The worker puts all statements of a dispute under the data key of its first recording that is not erased, and
of the next one after that. Erasing a recording destroys its key and its copies
(:mod:`recorder.lifecycle.expiry`). Copies that came too late for that are deleted here, by the tombstone: a
missing key alone deletes none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

import structlog

from recorder.auditlog.append import tenant_lock
from recorder.catalogue import queries as catalogue
from recorder.clock import Now
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries, rules
from recorder.features.disputes.rules import Dispute
from recorder.ids import Entropy
from recorder.isolation import isolate_object
from recorder.lifecycle.amendment_store import chain_of_row
from recorder.seal import hints
from recorder.seal.amendment_chain import Chain
from recorder.seal.data_key import open_data_key, read_wrapped
from recorder.seal.dispute_copy import (
    FOLDER,
    MAX_BYTES,
    CopyPlace,
    decrypt_copy,
    encrypt_copy,
    folder_of,
    parse_place,
)
from recorder.seal.dispute_statement import DisputeStatement, check_chain, read
from recorder.seal.document_source import read_document
from recorder.seal.keyring import Keyring, Secret, data_key_path, tenant_key_path
from recorder.seal.revocation import Trust
from recorder.services import Services
from recorder.spool.atomic_files import memory_file
from recorder.store.contract import Conflict, NotFound, Store

log = structlog.get_logger()


def copy_due(services: Services) -> int:
    """Put the statements into the bucket that it lacks; returns of how many disputes. One that cannot be
    copied is reported and delays no other. Raises :class:`recorder.store.contract.Unreachable`."""
    count = 0
    for tenant, dispute in queries.uncopied_disputes():
        with isolate_object(services.faults, "dispute.not_copied", dispute, tenant=tenant, dispute=dispute):
            count += _copy(tenant, dispute, services)
    return count


def _copy(tenant: str, dispute: str, services: Services) -> bool:
    found = queries.find_dispute(tenant, dispute, services.trust)
    _delete_late_copies(found, services)
    recording = next((each for each in found.recording_ids if _is_there(tenant, each)), None)
    if recording is None:
        return False
    store, signed = services.store, queries.signed_statements(tenant, dispute)
    key = _data_key(tenant, recording, store, services.keyring)
    there = set(store.list(f"{folder_of(tenant, recording)}{dispute}-"))
    places = [CopyPlace(tenant, recording, dispute, number) for number in range(1, len(signed) + 1)]
    for place, text in zip(places, signed, strict=True):
        if place.key not in there:
            _put(store, place.key, encrypt_copy(text, place, key, services.entropy))
    services.boundary("dispute copied")
    if not _has_key(tenant, recording, store):  # its erasure may have looked for copies before
        _delete_copies(_chain_of(tenant, recording, services), services)
        return False
    with tenant_lock(tenant):
        if _is_there(tenant, recording):
            queries.note_copies(found, recording)
    log.info("dispute.copied", dispute=dispute, statements=len(signed))
    return True


def _delete_late_copies(dispute: Dispute, services: Services) -> None:
    """Delete what lies beside the erased recordings of a dispute."""
    for each in dispute.recording_ids:
        folder = folder_of(dispute.tenant, each)
        if not _is_there(dispute.tenant, each) and [*services.store.list(folder)]:
            _delete_copies(_chain_of(dispute.tenant, each, services), services)


def _chain_of(tenant: str, recording: str, services: Services) -> Chain:
    row = catalogue.recording(tenant, recording)
    if row is None:
        what = f"copies lie beside recording {recording}, which no row leads to"
        raise SealError("dispute.no_recording", what, hints.COMPARE)
    return chain_of_row(row, services.store, services.root, services.revoked())


def _delete_copies(chain: Chain, services: Services) -> None:
    """Delete the copies beside a recording with a tombstone, which nothing can follow. Raises
    :class:`SealError` (``recording.not_erased``)."""
    manifest = chain.manifest
    if chain.erased is None:
        what = f"recording {manifest.recording} has no key, and no tombstone"
        raise SealError("recording.not_erased", what, hints.COMPARE)
    for key in services.store.list(folder_of(manifest.tenant, manifest.recording)):
        services.eraser.delete(key)


def _put(store: Store, key: str, content: bytes) -> None:
    # In a conflict another worker was faster: the same statement, encrypted differently.
    with memory_file(content) as path, suppress(Conflict):
        store.put(key, path, hashlib.sha256(content).hexdigest())


def _is_there(tenant: str, recording: str) -> bool:
    row = catalogue.recording(tenant, recording)
    return row is not None and row.erased_at is None


def _has_key(tenant: str, recording: str, store: Store) -> bool:
    try:
        store.size(data_key_path(tenant, recording))
    except NotFound:
        return False
    return True


def _data_key(tenant: str, recording: str, store: Store, keyring: Keyring) -> Secret:
    tenant_key = read_wrapped(store, tenant_key_path(tenant))
    return open_data_key(store, keyring, tenant_key, read_wrapped(store, data_key_path(tenant, recording)))


def read_copies(places: Sequence[CopyPlace], store: Store, keyring: Keyring) -> list[str]:
    """The signed statements at some places under one recording's key. Raises :class:`SealError`,
    :class:`StoreError`."""
    key = _data_key(places[0].tenant, places[0].recording, store, keyring)
    return [decrypt_copy(read_document(store, each.key, MAX_BYTES), each, key) for each in places]


@dataclass(frozen=True, slots=True)
class DisputeRecovery:
    """The result of a rebuild: how many disputes were made again or completed, and place, code and reason of
    each that was not."""

    count: int = 0
    left_out: tuple[tuple[str, str, str], ...] = ()


def restore_disputes(
    store: Store, keyring: Keyring, trust: Trust, now: Now, entropy: Entropy
) -> DisputeRecovery:
    """Add the statements that the bucket has and the catalogue lacks, after a restore or rebuild. A dispute
    whose copies contradict the catalogue, or were signed by a key that was revoked since, is left out. Raises
    :class:`StoreError`."""
    count, wrong = 0, list[tuple[str, str, str]]()
    for prefix, places in _places(store, wrong):
        try:
            count += _restore(places, store, keyring, trust, now, entropy)
        except (DisputeError, SealError, NotFound) as error:
            wrong.append((prefix, error.error_id, error.message))
    return DisputeRecovery(count, tuple(wrong))


def _places(store: Store, wrong: list[tuple[str, str, str]]) -> Iterator[tuple[str, list[CopyPlace]]]:
    """The copies in the bucket, those of one dispute at a time; other objects are added to ``wrong``."""
    for prefix, keys in groupby(store.list(FOLDER), lambda key: key.rpartition("-")[0]):
        places = []
        for key in keys:
            place = parse_place(key)
            if place is None:
                wrong.append((key, "object.unplaced", "Accord has no object of that name"))
            else:
                places.append(place)
        if places:
            yield prefix, places


def _restore(
    places: Sequence[CopyPlace], store: Store, keyring: Keyring, trust: Trust, now: Now, entropy: Entropy
) -> bool:
    tenant, recording, dispute, _ = places[0]
    if not _is_there(tenant, recording):
        raise SealError(
            "dispute.no_recording",
            f"recording {recording} is not in the catalogue, or erased",
            "rebuild the recording first: `accord rebuild`; if it was erased, its disputes stay erased",
        )
    signed = read_copies(places, store, keyring)
    found = [read(each, trust) for each in signed]
    check_chain(tenant, dispute, found)
    state = rules.replay(found)
    assert state is not None
    with tenant_lock(tenant):
        here = queries.signed_statements(tenant, dispute)
        if list(here) != signed[: len(here)] and signed != list(here)[: len(signed)]:
            what = f"the statements of dispute {dispute} differ from those in the catalogue"
            raise SealError("dispute.superseded", what, hints.COMPARE)
        rest = list(zip(found, signed, strict=True))[len(here) :]
        _check_keys([each for each, _ in rest], trust)
        queries.restore_statements(tenant, dispute, rest, now(), entropy)
        if rest:
            queries.index_dispute(state)
    return bool(rest)


def _check_keys(found: Sequence[DisputeStatement], trust: Trust) -> None:
    """Refuse statements by a key that was revoked since: their leaves would be younger."""
    for each in found:
        if each.signing_key_id in trust.revoked():
            what = f"key {each.signing_key_id}, which signed statement {each.number}, was revoked"
            raise SealError(
                "seal.key_revoked", what, "treat the statement as unverified, and find out who had the key"
            )
