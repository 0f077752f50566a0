"""Audits rows that belong to no single customer: sounds, global state, and rows without an owner."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

from peewee import ForeignKeyField

from recorder.audit.findings import AuditFinding
from recorder.catalogue.database import database
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.registry import TABLES
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError
from recorder.features.recovery.rebuild_queue import REBUILD
from recorder.features.tenants.rules import sound_duration_ms


def check_sounds() -> Iterator[AuditFinding]:
    """Check, inside the caller's snapshot, that each sound matches its hash and that no referenced sound is
    missing."""
    known = set()
    for identity in [row.sha256 for row in SoundTable.select(SoundTable.sha256).order_by(SoundTable.sha256)]:
        known.add(identity)
        row = (
            SoundTable.select(SoundTable.wav, SoundTable.duration_ms)
            .where(SoundTable.sha256 == identity)
            .get()
        )
        if not _is_sound(identity, row.wav, row.duration_ms):
            yield _found("row.changed", SoundTable, identity, "it does not match its hash or duration")
    for identity in sorted(_referenced_sounds() - known):
        yield _found(
            "row.deleted", SoundTable, identity, "a line or an announcement uses it, but it is missing"
        )


def _is_sound(identity: str, wav: Any, duration_ms: Any) -> bool:
    try:
        content = bytes(wav)
        same = hashlib.sha256(content).hexdigest() == identity
        return same and sound_duration_ms(content) == duration_ms
    except (TypeError, ValueError, CatalogueError):
        return False


def _referenced_sounds() -> set[str]:
    """The hashes of sounds that rows refer to."""
    found: set[str] = set()
    for model in (AnnouncementTable, LineTable, LineKeepOptionTable, LineDeleteOptionTable):
        for field in model._meta.sorted_fields:
            if isinstance(field, ForeignKeyField) and field.rel_model is SoundTable:
                query = model.select(field).where(field.is_null(False)).distinct()
                found |= {str(value) for (value,) in database.execute(query).fetchall()}
    for row in LineTable.select(LineTable.transfer_notice).where(LineTable.transfer_notice.is_null(False)):
        found |= set(_sounds_in(row.transfer_notice))
    return found


def _sounds_in(content: Any) -> Iterator[str]:
    """The sounds in a line's ``transfer_notice``, where sentences are pairs of text and sound."""
    if isinstance(content, dict):
        for each in content.values():
            yield from _sounds_in(each)
    elif isinstance(content, list) and len(content) == 2:
        yield str(content[1])


def check_ownerless(tenants: Collection[str]) -> Iterator[AuditFinding]:
    """Find, inside the caller's snapshot, rows of customers who do not exist, and unknown global state: no
    log describes them."""
    for row in GlobalStateTable.select(GlobalStateTable.name).where(GlobalStateTable.name != REBUILD):
        yield _found("row.unlogged", GlobalStateTable, row.name, "Accord never writes this")
    for model in TABLES:
        columns = {field.column_name: field for field in model._meta.sorted_fields}
        owner = columns.get("tenant_id")
        if owner is None or model is TenantTable:
            continue
        query = model.select(owner).distinct()
        for (value,) in sorted(database.execute(query).fetchall(), key=str):
            if value not in tenants and not (value is None and model is NotRecordedTable):
                yield _found("row.unlogged", model, f"of {value}", "the catalogue has no such customer")
    for model in TABLES:
        if not any(field.column_name == "tenant_id" for field in model._meta.sorted_fields):
            yield from _check_parents(model)


def _check_parents(model: Any) -> Iterator[AuditFinding]:
    """Rows that belong to a customer by another row alone, which does not exist: no customer's audit sees
    them."""
    for field in model._meta.sorted_fields:
        if not isinstance(field, ForeignKeyField):
            continue
        parents = field.rel_model.select(field.rel_field)
        query = model.select(model._meta.primary_key).where(field.is_null(False) & field.not_in(parents))
        for (identity,) in database.execute(query).fetchall():
            what = f"it belongs to a row of {field.rel_model._meta.table_name} that does not exist"
            yield _found("row.unlogged", model, str(identity), what)


def _found(code: str, model: Any, which: str, message: str) -> AuditFinding:
    return AuditFinding(code, f"{model._meta.table_name} {which}", message)
