"""Destroying what is over: recordings past their day, takes in quarantine past theirs.

Deletion goes the other way round than writing, keys first: the wrapped key in the bucket, its copy in the
catalogue, then every version of manifest and objects, and last the row becomes a tombstone.  Broken off
anywhere, it is done again: a recording is listed as due until its tombstone stands.

The catalogue says what is due, the manifest whether that is so: a changed row destroys nothing early.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import metrics
from recorder.catalogue import grants, keeping
from recorder.catalogue.rows import RecordingRow
from recorder.clock import from_iso, to_iso
from recorder.errors import SealError, StoreError
from recorder.ids import Entropy
from recorder.seal.keys import data_key_path
from recorder.seal.manifest import NAME as MANIFEST
from recorder.seal.manifest import open_manifest
from recorder.store.base import NotFound, Store, Unreachable
from recorder.take.spool import QUARANTINE, purge, remove_take

log = structlog.get_logger()

EXPIRED = "expired"
NEVER_ANNOUNCED = "not_announced"


def destroy_due(store: Store, root: Ed25519PublicKey, now: datetime, entropy: Entropy) -> int:
    """Destroy recordings whose time is over, those first that were over first; how many.

    One that cannot be destroyed, or whose manifest says that its time is not over, is logged as an error,
    stays, and holds up no other.  Raises :class:`Unreachable` with the one that failed still due."""
    destroyed, last = 0, None
    while due := keeping.due(now, after=last):
        for row in due:
            last = row
            try:
                check_over(row, store, root, now)
                why = EXPIRED if row.announced else NEVER_ANNOUNCED
                destroy(row, why, store, now=now, entropy=entropy)
            except Unreachable:
                raise
            except (SealError, StoreError) as error:
                refused = isinstance(error, SealError)
                metrics.NOT_DESTROYED.labels("refused" if refused else "failed").inc()
                log.error(
                    "recording.not_destroyed",
                    recording=row.id,
                    error_id=error.error_id,
                    error=error.message,
                    hint=error.hint,
                )
            else:
                destroyed += 1
    return destroyed


def check_over(row: RecordingRow, store: Store, root: Ed25519PublicKey, now: datetime) -> None:
    """Compare a row that is due with its manifest.

    Raises :class:`SealError` where the sealed time is not over (``seal.row_differs``) or the manifest is
    not there (``seal.manifest_missing``), is another's (``seal.manifest_foreign``) or is not what was
    sealed; :class:`StoreError`."""
    try:
        manifest = open_manifest(store.read(row.prefix + MANIFEST), root)
    except NotFound:
        if row.wrapped_key is None and not _key_is_there(row, store):
            return  # destroying it was broken off: both copies of its key go before the manifest does
        raise SealError(
            "seal.manifest_missing",
            f"recording {row.id} has a key and no manifest at {row.prefix}",
            "the manifest was deleted, the row names another place, or the store is not the one it was",
        ) from None
    if (manifest.tenant, manifest.recording, manifest.prefix) != (row.tenant, row.id, row.prefix):
        raise SealError(
            "seal.manifest_foreign",
            f"the manifest at {row.prefix} is that of recording {manifest.recording}",
            "manifests or rows were exchanged",
        )
    if manifest.keep_until > now:
        raise SealError(
            "seal.row_differs",
            f"the catalogue keeps recording {row.id} until {to_iso(row.keep_until)}, "
            f"its manifest until {to_iso(manifest.keep_until)}",
            "the row was changed after it was written",
        )


def _key_is_there(row: RecordingRow, store: Store) -> bool:
    try:
        store.size(data_key_path(row.tenant, row.id))
    except NotFound:
        return False
    return True


def destroy(row: RecordingRow, why: str, store: Store, *, now: datetime, entropy: Entropy) -> None:
    """Destroy one recording wherever it is.  Can be repeated.  Raises :class:`StoreError`."""
    store.delete(data_key_path(row.tenant, row.id))
    keeping.forget_key(row)
    # Also by name: a listing shows no object whose newest version is a mark of its deletion.
    known = [row.prefix + name for name in (MANIFEST, *(each.name for each in row.objects))]
    for key in dict.fromkeys([*known, *store.list(row.prefix)]):
        store.delete(key)
    keeping.make_tombstone(row, why, now=now, entropy=entropy)
    metrics.DESTROYED.labels(why).inc()
    log.info("recording.destroyed", recording=row.id, why=why)


def empty_quarantine(spool: Path, now: datetime) -> int:
    """Destroy takes in quarantine whose day has come; how many.  Raises ``OSError``."""
    quarantine = spool / QUARANTINE
    if not quarantine.is_dir():
        return 0
    purge(quarantine)
    over = [folder for folder in sorted(quarantine.iterdir()) if _over(folder, now)]
    for folder in over:
        remove_take(folder)
        metrics.QUARANTINE_DESTROYED.inc()
        log.info("quarantine.destroyed", recording=folder.name)
    return len(over)


def close_listens(now: datetime, entropy: Entropy) -> int:
    """Close listens whose player went away without a word and whose grant is over; how many."""
    return sum(grants.close_listen(listen, now=now, entropy=entropy) for listen in grants.stale_listens(now))


def _over(folder: Path, now: datetime) -> bool:
    """A folder whose note cannot be read stays: somebody put it there by hand."""
    try:
        return from_iso(json.loads((folder / "quarantine.json").read_bytes())["until"]) <= now
    except (OSError, ValueError, KeyError, TypeError):
        return False
