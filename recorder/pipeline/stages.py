"""The stages from a finished call to a listed recording.

:func:`step` performs the next one. The files in the take's folder show which that is, so a restarted worker
continues where the last one stopped, and every stage can be repeated:

======================  =====================================================================
in the folder           next stage
======================  =====================================================================
``take.json``           *note* for a call that is not kept; otherwise *encode*
``encoded.json``        *seal*: encrypt and sign; afterwards the bytes never change
``manifest.json``       *store*: wrapped keys, objects, and finally the manifest, the commit
``stored.json``         *catalogue*: row and leaf in one transaction, then the folder is removed
======================  =====================================================================

A take that can never become a recording goes into quarantine, with the reason and the date of its deletion.
One that crashes its encoder goes there without a date: a person decides. A take whose recording was erased in
the meantime (``pipeline/erasure_check.py``) is not stored again, and its folder is removed.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog

from recorder import metrics
from recorder.audio import prompt_detection
from recorder.audio.encoded_take import ENCODED, read_encoded, write_encoded
from recorder.audio.encoding import encode_import, encode_take
from recorder.catalogue import prompt_files, tenant_queries
from recorder.catalogue.recording_projection import recording_of
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.clock import to_iso
from recorder.errors import SealError, StoreError, TakeError
from recorder.lifecycle import line_history, recordings
from recorder.lifecycle.limits import limits_of, version_of
from recorder.lifecycle.statements import LEFT, statements_of
from recorder.pipeline import erasure_check
from recorder.pipeline.stored_take import stored_take
from recorder.pipeline.unrecorded_call import check_name, list_call, list_take, reason_not_kept, salvage_call
from recorder.seal import duration_check
from recorder.seal.data_key import open_data_key, read_wrapped, tenant_key_of
from recorder.seal.keyring import WrappedKey, tenant_key_path
from recorder.seal.manifest import IMPORTED, decrypt_parties
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.sealing import SealedTake, Upload, read_sealed, seal
from recorder.services import Services
from recorder.spool import disk_space, layout
from recorder.spool.atomic_files import memory_file, write_file
from recorder.store.contract import Conflict, NotFound, Store

Stage = Literal["note", "encode", "seal", "store", "catalogue"]
STAGES: tuple[Stage, ...] = ("note", "encode", "seal", "store", "catalogue")

QUARANTINED_FOR = timedelta(days=30)
"""How long an impossible take is kept in quarantine for examination."""

IMPOSSIBLE = frozenset({"take.impossible", "take.no_line", "take.foreign", "take.line_ended", "spool.broken"})
"""Errors that waiting does not cure: such a take goes into quarantine. Any other take waits in the spool."""

ENCODER_DIED = "take.encoder_died"
"""The take itself may be sound, so in quarantine it has no date of deletion."""

REENCODE = frozenset({"take.encoded", "seal.sound_changed"})
"""Errors of damaged encoded files: the take is encoded again."""

EncodeTake = Callable[[Path, Path], object]
"""Encodes the take in a folder, given the announcement's sound file, as :func:`encode_take` does."""

log = structlog.get_logger()


def next_stage(folder: Path) -> Stage | None:
    """The next stage of a folder in the spool; ``None`` if it is not the worker's, or was removed."""
    if not (folder / layout.END).exists():
        return None
    if (folder / layout.STORED).exists():
        return "catalogue"
    if (folder / MANIFEST).exists():
        return "store"
    if (folder / ENCODED).exists():
        return "seal"
    try:
        take = layout.read_take(folder)
    except (TakeError, OSError):
        return "note"  # which quarantines it or reports the error
    return "encode" if reason_not_kept(take) is None else "note"


def step(folder: Path, now: datetime, services: Services, encode_take: EncodeTake = encode_take) -> bool:
    """Perform a take's next stage. Returns whether another one follows. ``encode_take`` runs the function of
    that name, perhaps in another process.

    A stage that cannot be performed now raises and leaves the take unchanged: :class:`StoreError`
    (``Unreachable`` while the store is unavailable), :class:`CatalogueError`, :class:`SealError`,
    :class:`TakeError` (for example, a missing prompt), ``OSError``. A take that can never be processed goes
    into quarantine, which is no error.
    """
    stage = next_stage(folder)
    if stage is None:
        return False
    bound = log.bind(recording=folder.name, stage=stage)
    try:
        if stage == "encode":
            more = _encode(folder, now, services, encode_take)
        else:
            more = _STAGES[stage](folder, now, services)
    except TakeError as error:
        if not _is_permanent(error):
            raise
        bound.error("take.quarantined", error_id=error.error_id, error=error.message)
        quarantine_take(folder, error.error_id, now, services)
        return False
    bound.info("take.stage_done")
    return more


def _is_permanent(error: TakeError) -> bool:
    """Whether waiting cannot help. A file that cannot be read now (a missing disk, another owner) may not be
    damaged."""
    return error.error_id in IMPOSSIBLE and layout.read_failure(error) is None


def quarantine_take(folder: Path, reason: str, now: datetime, services: Services) -> None:
    """Move a take into quarantine, and list its call as not recorded."""
    until = None if reason == ENCODER_DIED else now + QUARANTINED_FOR
    start, end = salvage_call(folder, now)
    list_call(start, end, reason, until, now, services.entropy, statements_of(services))
    services.boundary("listed")
    layout.quarantine(folder, reason, now, until)
    metrics.TAKES.labels("quarantined").inc()


def _note(folder: Path, now: datetime, services: Services) -> bool:
    unrecorded = list_take(folder, now, services.entropy, statements_of(services))
    if unrecorded is None:
        return True  # unreadable when the stage was chosen, readable now
    services.boundary("noted")
    layout.remove_take(unrecorded)
    metrics.TAKES.labels("noted").inc()
    services.boundary("removed")
    return False


def _encode(folder: Path, now: datetime, services: Services, encode_take: EncodeTake) -> bool:
    take = layout.read_take(folder)
    start = take.start
    check_name(folder, start)
    if start.import_keep_until is not None:
        write_encoded(encode_import(take))
        services.boundary("encoded")
        return True
    if start.announcement is None or start.tenant is None or start.line is None:
        raise TakeError(
            "take.no_line",
            f"{folder} is a take of a call that has no line",
            "the take stays in quarantine until its date; a line added later does not announce it",
        )
    prompt = prompt_files.put_prompt(services.snapshot, start.announcement.sha256, now)
    if prompt is None:
        raise TakeError(
            "take.no_prompt",
            f"{folder} was announced with a sound that the catalogue lacks: {start.announcement.sha256}",
            "check that this is the catalogue from which the node's snapshot was made",
        )
    for sha256 in sorted(prompt_detection.expected_sounds(take)):
        # Without it, the audio merely does not show that the prompt was heard.
        prompt_files.put_prompt(services.snapshot, sha256, now)
    encode_take(folder, prompt)
    services.boundary("encoded")
    return True


def _seal(folder: Path, now: datetime, services: Services) -> bool:
    try:
        encoded = read_encoded(folder)
        statement = statements_of(services).look(encoded.take.start.tenant, folder.name)
        if (erased := erasure_check.erased_by_statement(folder, statement)) is not None:
            return _remove_erased(erased, services)
        _check_line(encoded.take.start)
        tenant_key = _tenant_key(encoded.take.start.tenant or "")
        seal(encoded, services.keyring, tenant_key, services.signer, now, services.entropy, services.uptime())
    except (TakeError, SealError) as error:
        if error.error_id not in REENCODE:
            raise
        log.warning("take.reencoded", recording=folder.name, error_id=error.error_id)
        (folder / ENCODED).unlink(missing_ok=True)
        return True
    services.boundary("sealed")
    return True


def _check_line(start: layout.CallStart) -> None:
    """Refuse a call that began after its line had ended: the node's snapshot was old, and it played the
    former customer's announcement. Neither that customer nor the next may hear the call. Raises
    :class:`TakeError`."""
    if start.import_keep_until is None and line_history.has_ended(start.line, start.started_at):
        raise TakeError(
            "take.line_ended",
            f"the call {start.recording} began at {to_iso(start.started_at)}, when its number no longer "
            "belonged to that customer",
            "the node's snapshot was old, or its clock is ahead: run `accord doctor`",
        )


def _store(folder: Path, now: datetime, services: Services) -> bool:
    sealed = read_sealed(folder, services.root)
    statement = statements_of(services).look(sealed.manifest.tenant, sealed.recording)
    erased = erasure_check.erased_sealed(sealed, statement) or _find_erasure(sealed, now, services)
    if erased is not None:
        return _delete_erased(erased, services)
    try:
        _put_all(sealed, services)
    except Conflict:
        # Sealed twice, from an older copy of the spool; and perhaps erased just now.
        if (erased := _find_erasure(sealed, now, services)) is None:
            raise
        return _delete_erased(erased, services)
    try:
        write_file(folder / layout.STORED, json.dumps({"stored_at": to_iso(now)}).encode())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # No space to note the progress: perform the last stage at once, which frees space.
        log.warning("take.no_space", recording=folder.name, hint=disk_space.hint_for(error))
        return _catalogue(folder, now, services)
    services.boundary("stored")
    return True


def _catalogue(folder: Path, now: datetime, services: Services) -> bool:
    sealed = read_sealed(folder, services.root)
    version = version_of(sealed.manifest.tenant)
    limits = limits_of(sealed.manifest.tenant, services.trust)
    tenant_key = _tenant_key(sealed.manifest.tenant)
    data_key = open_data_key(services.store, services.keyring, tenant_key, sealed.key)
    parties = decrypt_parties(sealed.manifest, data_key)
    row = recording_of(sealed.manifest, sealed.manifest_bytes, parties, sealed.key, limits=limits)
    erased = erasure_check.find_new_erasure(sealed, services.store, services.root, now, services.revoked())
    if erased is not None:
        return _delete_erased(erased, services)
    statement = statements_of(services).look(row.tenant, row.id)
    if (erased := erasure_check.erased_sealed(sealed, statement)) is not None:
        return _delete_erased(erased, services)
    despite = statement.unsigned | (statement.signed - {LEFT})
    added = recordings.add_recording(row, now=now, entropy=services.entropy, limits=version, despite=despite)
    if added:
        _report_problems(sealed)
    services.boundary("catalogued")
    layout.remove_take(stored_take(sealed, services.store))
    metrics.TAKES.labels("stored").inc()
    services.boundary("removed")
    return False


def _report_problems(sealed: SealedTake) -> None:
    """Report problems of a recording that was just listed to the operator."""
    if (reason := sealed.manifest.unannounced) is not None and reason != IMPORTED:
        metrics.TAKES_UNANNOUNCED.labels(reason).inc()
    if (missing := duration_check.unexplained_ms(sealed.manifest)) != 0:
        metrics.TAKES_DURATION_MISMATCH.labels("shorter" if missing > 0 else "longer").inc()
        log.warning(
            "take.duration_mismatch",
            recording=sealed.recording,
            shorter_ms=missing,
            drift_ms=sealed.manifest.drift_ms,
            duration_ms=sealed.manifest.duration_ms,
            hint="its audio is not as long as its call: check the switch's load at that time",
        )


def _find_erasure(
    sealed: SealedTake, now: datetime, services: Services
) -> erasure_check.ErasedSealedTake | None:
    return erasure_check.find_erasure(sealed, services.store, services.root, now, services.revoked())


def _delete_erased(erased: erasure_check.ErasedSealedTake, services: Services) -> bool:
    """Delete the remains of an erased recording's take, in the spool and in the bucket."""
    eraser, sealed = services.eraser, erased.sealed
    tenant = sealed.manifest.tenant
    erasure_check.delete_remains(erased, eraser, services.root, services.revoked())
    if tenant_queries.tenant_wrapped_key(tenant) is None:
        customer = statements_of(services).find_erased(tenant)
        if customer is not None:
            erasure_check.delete_tenant_key(customer, eraser)
    log.warning(
        "take.already_erased",
        recording=sealed.recording,
        hint="it expired while its take was in this spool, its customer was offboarded, or a subject request "
        "erased it; nothing was kept",
    )
    services.boundary("taken back")
    return _remove_erased(erased, services)


def _remove_erased(erased: erasure_check.ErasedTake, services: Services) -> bool:
    """Remove the folder of an erased take."""
    layout.remove_take(erased)
    metrics.TAKES.labels("erased").inc()
    services.boundary("removed")
    return False


_STAGES: dict[Stage, Callable[[Path, datetime, Services], bool]] = {
    "note": _note,
    "seal": _seal,
    "store": _store,
    "catalogue": _catalogue,
}


def _put_all(sealed: SealedTake, services: Services) -> None:
    _put_tenant_key(_tenant_key(sealed.manifest.tenant), services.store)
    *before, manifest = sealed.uploads
    # Keys first: after a crash, every object in the bucket has its key there.
    for upload in sorted(before, key=lambda upload: not upload.key.startswith("keys/")):
        _put(upload, services)
        if services.lock is not None and not upload.key.startswith("keys/"):
            services.lock(upload.key, sealed.manifest.keep_until)
    _put(manifest, services)


def _put(upload: Upload, services: Services) -> None:
    try:
        services.store.put(upload.key, upload.path, upload.sha256)
    except Conflict:
        if not (upload.key.startswith("keys/") and _is_same_key(upload, services)):
            raise
    services.boundary(f"put {upload.key.rpartition('/')[2]}")


def _is_same_key(upload: Upload, services: Services) -> bool:
    """Whether the stored wrapped key is the same key, wrapped again by another key since: it opens."""
    mine = WrappedKey.from_bytes(upload.path.read_bytes())
    try:
        stored = read_wrapped(services.store, upload.key)
    except NotFound:
        return False  # it was deleted just now
    open_data_key(services.store, services.keyring, _tenant_key(stored.tenant), stored)
    return stored.key_id == mine.key_id


def _put_tenant_key(key: WrappedKey, store: Store) -> None:
    """Store the tenant's wrapped key in the bucket, too, so that a rebuild needs nothing else. If the stored
    one was wrapped again since, it opens to the same key, and stays."""
    content, place = key.to_bytes(), tenant_key_path(key.tenant)
    try:
        with memory_file(content) as path:
            store.put(place, path, prompt_files.sha256_of(content))
    except Conflict:
        try:
            stored = read_wrapped(store, place)
        except SealError as error:
            raise StoreError("store.other_tenant_key", error.message, error.hint) from error
        # During a rotation of tenant keys each one is stored under its id, too.
        if stored.key_id != key.key_id and tenant_key_of(store, key.tenant, key.key_id) is None:
            raise StoreError(
                "store.other_tenant_key",
                f"the bucket and the catalogue hold different keys of tenant {key.tenant}",
                "check that catalogue and bucket belong together",
            ) from None


def _tenant_key(tenant: str) -> WrappedKey:
    key = tenant_queries.tenant_key(tenant)
    if key is None:
        raise unknown_tenant(tenant)
    return key
