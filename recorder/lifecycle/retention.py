"""Destroying what is over: recordings past their day, takes in quarantine past theirs.

Deletion goes the other way round than writing, keys first: the wrapped key in the bucket, its copy in the
catalogue, then every version of manifest and objects, and last the row becomes a tombstone.  Broken off
anywhere, it is done again: a recording is listed as due until its tombstone stands.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import structlog

from recorder.catalogue import grants, keeping
from recorder.catalogue.rows import RecordingRow
from recorder.clock import from_iso
from recorder.ids import Entropy
from recorder.seal.keys import data_key_path
from recorder.seal.manifest import NAME as MANIFEST
from recorder.store.base import Store
from recorder.take.spool import QUARANTINE, purge, remove_take

log = structlog.get_logger()

EXPIRED = "expired"
NEVER_ANNOUNCED = "not_announced"


def destroy_due(store: Store, now: datetime, entropy: Entropy) -> int:
    """Destroy recordings whose time is over, those first that were over first; how many.  Raises
    :class:`recorder.errors.StoreError` with the one that failed still due."""
    due = keeping.due(now)
    for row in due:
        destroy(row, EXPIRED if row.announced else NEVER_ANNOUNCED, store, now=now, entropy=entropy)
    return len(due)


def destroy(row: RecordingRow, why: str, store: Store, *, now: datetime, entropy: Entropy) -> None:
    """Destroy one recording wherever it is.  Can be repeated.  Raises :class:`StoreError`."""
    store.delete(data_key_path(row.tenant, row.id))
    keeping.forget_key(row)
    # Also by name: a listing shows no object whose newest version is a mark of its deletion.
    known = [row.prefix + name for name in (MANIFEST, *(each.name for each in row.objects))]
    for key in dict.fromkeys([*known, *store.list(row.prefix)]):
        store.delete(key)
    keeping.make_tombstone(row, why, now=now, entropy=entropy)
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
