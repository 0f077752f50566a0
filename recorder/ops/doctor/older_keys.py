"""Retired key-encryption keys: each is destroyed once it wraps nothing and no backup needs it.

Whoever has such a key can open every old copy of catalogue and bucket made under it, erased recordings
included.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.auditlog.object_kinds import kind_of
from recorder.catalogue import tenant_queries
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning
from recorder.seal import kek_files
from recorder.seal.data_key import read_wrapped
from recorder.seal.keyring import TENANT, load_kek
from recorder.store.contract import NotFound, Store


def older_keys(patient: Patient) -> Iterator[DoctorFinding]:
    """Each retired key in this machine's keys folder is still needed, or should be destroyed."""
    folder, days = patient.settings.keys_folder, patient.settings.keys.backups_kept_days
    older = sorted(folder.glob(f"*{kek_files.BEFORE}"))
    if not older:
        return
    patient.context.open_catalogue()
    current = patient.context.keyring().current
    wraps = _wraps(patient.context.store())
    for path in older:
        identity = load_kek(path).id
        if identity == current:
            continue  # it came back: `accord key rotate` will say so
        until = _last_touched(path) + timedelta(days=days)
        if many := wraps.get(identity, 0):
            yield warning(
                f"older keys: {path} still wraps {many} customers' keys", "run `accord key rotate` again"
            )
        elif patient.now() < until:
            yield ok(f"older keys: {path} is needed for older backups, until {until:%Y-%m-%d}")
        else:
            yield warning(
                f"older keys: {path} is no longer needed: the last backup made under it expired on "
                f"{until:%Y-%m-%d}",
                f"`rm {path}`, and destroy its copies: it opens old copies of catalogue and bucket",
            )


def _last_touched(path: Path) -> datetime:
    """When the key was retired here, at the earliest: renaming the file changed its status."""
    found = path.stat()
    return datetime.fromtimestamp(max(found.st_ctime, found.st_mtime), UTC)


def _wraps(store: Store) -> dict[str, int]:
    """How many customers' keys each key-encryption key wraps, in the catalogue or the bucket."""
    wraps: dict[str, set[str]] = {}
    for row in tenant_queries.all_tenants():
        if (mine := tenant_queries.tenant_key(row.id)) is not None:
            wraps.setdefault(mine.wrapped_by, set()).add(row.id)
        for place in filter(kind_of, store.list(f"keys/{row.id}/{TENANT}")):
            try:
                found = read_wrapped(store, place)
            except NotFound:
                continue
            wraps.setdefault(found.wrapped_by, set()).add(row.id)
    return {kek: len(those) for kek, those in wraps.items()}
