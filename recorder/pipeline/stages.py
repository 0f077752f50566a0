"""The stages between a finished call and a recording that can be heard, in order.

:func:`step` does the first unmet one; the files in the take's folder say which that is, so a worker that
died anywhere goes on where it was, and doing a stage again changes nothing:

======================  =====================================================================
in the folder           next stage
======================  =====================================================================
``take.json``           *note* a call that is not to be kept; otherwise *encode*
``encoded.json``        *seal*: encrypt and sign; from then on the bytes never change
``manifest.json``       *store*: wrapped keys, objects, and last the manifest, the commit
``stored.json``         *catalogue*: row and ledger leaf in one transaction, then the folder goes
======================  =====================================================================

What can never become a recording is set aside with its reason and the day it will be destroyed.  What was
erased while its take lay here (``pipeline/erasure_check.py``) is not put again: the folder goes.
What only its encoder's deaths speak against is set aside too, and never destroyed: a person decides.
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
from recorder.audio.encoding import as_it_is, encode_take
from recorder.catalogue import prompt_files, tenant_queries
from recorder.catalogue.recording_projection import recording_of
from recorder.catalogue.tenant_queries import no_tenant
from recorder.clock import to_iso
from recorder.errors import SealError, StoreError, TakeError
from recorder.lifecycle import line_history, recordings
from recorder.lifecycle.limits import limits_of, version_of
from recorder.lifecycle.statements import FORGOTTEN, LEFT, StatementCheck, statements_of
from recorder.pipeline.erasure_check import take_back, was_erased, was_erased_meanwhile
from recorder.pipeline.unrecorded_call import check_name, list_call, unkept, what_is_known
from recorder.seal import duration_check
from recorder.seal.data_key import open_data_key, read_wrapped, tenant_key_of
from recorder.seal.keyring import WrappedKey, tenant_key_path
from recorder.seal.manifest import IMPORTED, to_body
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.sealing import SealedTake, Upload, read_sealed, seal
from recorder.services import Services
from recorder.spool import disk_space
from recorder.spool.atomic_files import in_memory, write_file
from recorder.spool.layout import END, CallStart, read_take, remove_take, unreadable
from recorder.spool.layout import quarantine as set_aside
from recorder.store.contract import Conflict, NotFound, Store

Stage = Literal["note", "encode", "seal", "store", "catalogue"]
STAGES: tuple[Stage, ...] = ("note", "encode", "seal", "store", "catalogue")

STORED = "stored.json"

QUARANTINED_FOR = timedelta(days=30)
"""How long an impossible take is kept for somebody to look at."""

IMPOSSIBLE = frozenset({"take.impossible", "take.no_line", "take.foreign", "take.line_ended", "spool.broken"})
"""Takes that waiting does not help: they are set aside.  Any other take waits in the spool."""

ENCODER_DIED = "take.encoder_died"
"""Nothing is known to be wrong with such a take: where it is set aside, it has no end date."""

AGAIN = frozenset({"take.encoded", "seal.sound_changed"})
"""What was encoded is damaged: the take itself is there, and is encoded again."""

EncodeTake = Callable[[Path, Path], object]
"""Takes a take's folder and the announcement's sound, as :func:`encode_take` does."""

log = structlog.get_logger()


def next_stage(folder: Path) -> Stage | None:
    """The next stage of a folder in the spool; ``None`` where it is not the worker's, or gone."""
    if not (folder / END).exists():
        return None
    if (folder / STORED).exists():
        return "catalogue"
    if (folder / MANIFEST).exists():
        return "store"
    if (folder / ENCODED).exists():
        return "seal"
    try:
        take = read_take(folder)
    except (TakeError, OSError):
        return "note"  # which sets it aside, or says what stands in the way
    return "encode" if unkept(take) is None else "note"


def step(folder: Path, now: datetime, services: Services, encode_take: EncodeTake = encode_take) -> bool:
    """Do a take's next stage; true while another one follows.  ``encode_take`` runs the function of that
    name, perhaps in another process.

    If the stage cannot be done now, raises and leaves the take as it was: :class:`StoreError` (its
    ``Unreachable`` where the store is away), :class:`CatalogueError`, :class:`SealError`,
    :class:`TakeError` (an announcement's sound that is missing), ``OSError``.
    A take that can never be done is no error: it is set aside.
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
        if not _for_ever(error):
            raise
        bound.error("take.quarantined", error_id=error.error_id, error=error.message)
        put_aside(folder, error.error_id, now, services)
        return False
    bound.info("take.stage_done")
    return more


def _for_ever(error: TakeError) -> bool:
    """Whether waiting cannot help.  A file that cannot be read now (a disk that is away, another owner) is
    not a damaged one."""
    return error.error_id in IMPOSSIBLE and unreadable(error) is None


def put_aside(folder: Path, reason: str, now: datetime, services: Services) -> None:
    """Set a take aside, and list the call as not recorded."""
    until = None if reason == ENCODER_DIED else now + QUARANTINED_FOR
    start, end = what_is_known(folder, now)
    list_call(start, end, reason, until, now, services.entropy, statements_of(services))
    services.boundary("listed")
    set_aside(folder, reason, now, until)
    metrics.TAKES.labels("quarantined").inc()


def _note(folder: Path, now: datetime, services: Services) -> bool:
    take = read_take(folder)
    check_name(folder, take.start)
    reason = unkept(take)
    if reason is None:
        return True  # it could not be read when the stage was chosen, and now it can
    list_call(take.start, take.end, reason, None, now, services.entropy, statements_of(services))
    services.boundary("noted")
    remove_take(folder)
    metrics.TAKES.labels("noted").inc()
    services.boundary("removed")
    return False


def _encode(folder: Path, now: datetime, services: Services, encode_take: EncodeTake) -> bool:
    take = read_take(folder)
    start = take.start
    check_name(folder, start)
    if start.import_keep_until is not None:
        write_encoded(as_it_is(take))
        services.boundary("encoded")
        return True
    if start.announcement is None or start.tenant is None or start.line is None:
        raise TakeError("take.no_line", f"{folder} is a take of a call that has no line", "")
    prompt = prompt_files.put_prompt(services.snapshot, start.announcement.sha256, now)
    if prompt is None:
        raise TakeError(
            "take.no_prompt",
            f"{folder} was announced with a sound that is nowhere: {start.announcement.sha256}",
            "is this the catalogue that the node's snapshot was made from?",
        )
    for sha256 in sorted(prompt_detection.sounds(take)):
        # Without one of these it is only not shown that it was heard.
        prompt_files.put_prompt(services.snapshot, sha256, now)
    encode_take(folder, prompt)
    services.boundary("encoded")
    return True


def _seal(folder: Path, now: datetime, services: Services) -> bool:
    try:
        encoded = read_encoded(folder)
        if statements_of(services).look(encoded.take.start.tenant, folder.name).signed:
            return _drop(folder, services)
        _check_line(encoded.take.start)
        tenant_key = _tenant_key(encoded.take.start.tenant or "")
        seal(encoded, services.keyring, tenant_key, services.signer, now, services.entropy, services.uptime())
    except (TakeError, SealError) as error:
        if error.error_id not in AGAIN:
            raise
        log.warning("take.reencoded", recording=folder.name, error_id=error.error_id)
        (folder / ENCODED).unlink(missing_ok=True)
        return True
    services.boundary("sealed")
    return True


def _check_line(start: CallStart) -> None:
    """Refuse a call that began after its line had ended: the node did not know, and played the former
    customer's announcement.  Neither that customer nor the next may hear it."""
    if start.import_keep_until is None and line_history.ended_before(start.line, start.started_at):
        raise TakeError(
            "take.line_ended",
            f"the call {start.recording} began at {to_iso(start.started_at)} on a number that was no longer "
            "that customer's",
            "the node's snapshot was old, or its clock is ahead: `accord doctor`",
        )


def _store(folder: Path, now: datetime, services: Services) -> bool:
    sealed = read_sealed(folder, services.root)
    if _unwanted(sealed, statements_of(services).look(sealed.manifest.tenant, sealed.recording)):
        return _let_go(sealed, services)
    if was_erased(sealed, services.store, services.root, now, services.revoked()):
        return _let_go(sealed, services)
    try:
        _put_all(sealed, services)
    except Conflict:
        # Sealed a second time, from a copy of the spool that was older; and perhaps erased just now.
        if not was_erased(sealed, services.store, services.root, now, services.revoked()):
            raise
        return _let_go(sealed, services)
    try:
        write_file(folder / STORED, json.dumps({"stored_at": to_iso(now)}).encode())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # No room to write down how far it got: go all the way at once, which is what makes room.
        log.warning("take.no_space", recording=folder.name, hint=disk_space.hint(error))
        return _catalogue(folder, now, services)
    services.boundary("stored")
    return True


def _catalogue(folder: Path, now: datetime, services: Services) -> bool:
    take = read_take(folder)
    sealed = read_sealed(folder, services.root)
    version = version_of(sealed.manifest.tenant)
    limits = limits_of(sealed.manifest.tenant, services.trust)
    parties = take.start.external_party, take.end.internal_party
    row = recording_of(sealed.manifest, sealed.manifest_bytes, *parties, sealed.key, limits=limits)
    if was_erased_meanwhile(sealed, services.store, services.root, now, services.revoked()):
        return _let_go(sealed, services)
    said = statements_of(services).look(row.tenant, row.id)
    if _unwanted(sealed, said):
        return _let_go(sealed, services)
    despite = said.unsigned | (said.signed - {LEFT})
    added = recordings.add_recording(row, now=now, entropy=services.entropy, limits=version, despite=despite)
    if added:
        _report(sealed)
    services.boundary("catalogued")
    remove_take(folder)
    metrics.TAKES.labels("stored").inc()
    services.boundary("removed")
    return False


def _report(sealed: SealedTake) -> None:
    """Report to the operator what is wrong with a recording that was just listed."""
    if (why := sealed.manifest.unannounced) is not None and why != IMPORTED:
        metrics.TAKES_UNANNOUNCED.labels(why).inc()
    body = to_body(sealed.manifest)
    if (missing := duration_check.unexplained_ms(body)) != 0:
        metrics.TAKES_OUT_OF_TIME.labels("shorter" if missing > 0 else "longer").inc()
        log.warning(
            "take.duration_mismatch",
            recording=sealed.recording,
            shorter_ms=missing,
            drift_ms=body["drift_ms"],
            duration_ms=body["duration_ms"],
            hint="its sound is not as long as its call: look at the load of the switch when it was made",
        )


def _unwanted(sealed: SealedTake, said: StatementCheck) -> bool:
    """Whether nothing of a sealed take may be kept: its customer has left, or its call was erased for its
    person while it was set aside.  An announced and sealed call is a recording, which a note about
    unrecorded calls does not destroy."""
    if LEFT in said.signed:
        return True
    if FORGOTTEN in said.signed and sealed.manifest.announced is not None:
        log.error(
            "call_erasure.names_recording",
            recording=sealed.recording,
            hint="its person had it erased as a call without a recording: is the recording to be deleted?",
        )
        return False
    return FORGOTTEN in said.signed


def _let_go(sealed: SealedTake, services: Services) -> bool:
    """Delete what is left of an erased recording's take, here and in the bucket."""
    erasing, tenant = services.eraser, sealed.manifest.tenant
    take_back(sealed, erasing, services.root, services.revoked())
    if tenant_queries.tenant_wrapped_key(tenant) is None and statements_of(services).erases(tenant):
        erasing.delete(tenant_key_path(tenant))  # put just when it was destroyed: its customer has left
    log.warning(
        "take.already_erased",
        recording=sealed.recording,
        hint="its day came while it lay in this spool, its customer has left, or it was forgotten; "
        "nothing of it was kept",
    )
    services.boundary("taken back")
    return _drop(sealed.folder, services)


def _drop(folder: Path, services: Services) -> bool:
    """Remove a take of which nothing is kept."""
    remove_take(folder)
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
    # The key first: no object is ever in the bucket that its key could not follow after a crash.
    for upload in sorted(before, key=lambda upload: not upload.key.startswith("keys/")):
        _put(upload, services)
        if services.lock is not None and not upload.key.startswith("keys/"):
            services.lock(upload.key, sealed.manifest.keep_until)
    _put(manifest, services)


def _put(upload: Upload, services: Services) -> None:
    try:
        services.store.put(upload.key, upload.path, upload.sha256)
    except Conflict:
        if not (upload.key.startswith("keys/") and _wrapped_anew(upload, services)):
            raise
    services.boundary(f"put {upload.key.rpartition('/')[2]}")


def _wrapped_anew(upload: Upload, services: Services) -> bool:
    """Whether what lies in a wrapped key's place is the same key, wrapped by another since: it opens."""
    mine = WrappedKey.from_bytes(upload.path.read_bytes())
    try:
        there = read_wrapped(services.store, upload.key)
    except NotFound:
        return False  # it was destroyed just now
    open_data_key(services.store, services.keyring, _tenant_key(there.tenant), there)
    return there.key_id == mine.key_id


def _put_tenant_key(key: WrappedKey, store: Store) -> None:
    """The tenant's wrapped key lies in the bucket too, so that the bucket is enough (P8).  It may have
    been wrapped anew since: then the one that is there opens to the same key, and stays."""
    content, place = key.to_bytes(), tenant_key_path(key.tenant)
    try:
        with in_memory(content) as path:
            store.put(place, path, prompt_files.sha256_of(content))
    except Conflict:
        try:
            there = read_wrapped(store, place)
        except SealError as error:
            raise StoreError("store.other_tenant_key", error.message, error.hint) from error
        # It is being changed for another: then each lies there by its id as well.
        if there.key_id != key.key_id and tenant_key_of(store, key.tenant, key.key_id) is None:
            raise StoreError(
                "store.other_tenant_key",
                f"the bucket holds another key of tenant {key.tenant} than the catalogue",
                "do catalogue and bucket belong together?",
            ) from None


def _tenant_key(tenant: str) -> WrappedKey:
    key = tenant_queries.tenant_key(tenant)
    if key is None:
        raise no_tenant(tenant)
    return key
