"""The catalogue's copies of wrapped keys. A copy is replaced when its key is wrapped by another key, and only
if it has not changed since it was read."""

from __future__ import annotations

import json
from datetime import datetime

from recorder.auditlog.append import append, sha256_of, tenant_lock
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.ids import Entropy


def set_tenant_key(
    tenant: str, was: str, text: str, kind: str, body: dict[str, object], now: datetime, entropy: Entropy
) -> bool:
    """Replace a tenant's wrapped key and append a leaf of that kind; false if the row no longer holds
    ``was``. Raises :class:`recorder.errors.CatalogueError` (``tenant.unknown``)."""
    with tenant_lock(tenant):
        condition = (TenantTable.id == tenant) & (TenantTable.wrapped_key == was)
        if not TenantTable.update(wrapped_key=text).where(condition).execute():
            return False
        append(tenant, kind, body | {"key_sha256": sha256_of(text)}, now, entropy)
    return True


def set_recording_key(tenant: str, recording: str, was: str, text: str) -> bool:
    """Replace the wrapped key in a recording's row; false if the row no longer holds ``was``, because the
    recording is being erased or another process was faster."""
    with writing():
        condition = (
            (RecordingTable.tenant == tenant)
            & (RecordingTable.id == recording)
            & (RecordingTable.wrapped_key == was)
        )
        return bool(RecordingTable.update(wrapped_key=text).where(condition).execute())


def recording_key(tenant: str, recording: str) -> str | None:
    """The wrapped key in a recording's row, JSON text."""
    with connected():
        condition = (RecordingTable.tenant == tenant) & (RecordingTable.id == recording)
        row = RecordingTable.get_or_none(condition)
    return None if row is None else row.wrapped_key


def wrapped_by_others(tenant: str, key_id: str, after: str, limit: int) -> list[tuple[str, str]]:
    """Recordings of a tenant whose key is not wrapped by ``key_id``: id and wrapped key, ordered by id,
    starting after ``after``."""
    other = ~RecordingTable.wrapped_key.contains(f'"wrapped_by":"{key_id}"')
    condition = (
        (RecordingTable.tenant == tenant)
        & (RecordingTable.id > after)
        & RecordingTable.wrapped_key.is_null(False)
    )
    with connected():
        query = RecordingTable.select(RecordingTable.id, RecordingTable.wrapped_key).where(condition & other)
        return [(str(row.id), str(row.wrapped_key)) for row in query.order_by(RecordingTable.id).limit(limit)]


def former_keys(tenant: str) -> frozenset[str]:
    """Ids of the keys that a tenant used to have, by its log."""
    found: set[str] = set()
    condition = (LeafTable.tenant == tenant) & (LeafTable.kind == "tenant.key_changed")
    with connected():
        leaves = LeafTable.select(LeafTable.body).where(condition & LeafTable.body.is_null(False))
        for leaf in leaves.order_by(LeafTable.number):
            body = json.loads(str(leaf.body))
            found = (found | {str(body["key_was"])}) - {str(body["key"])}
    return frozenset(found)


def newest_wrapped_by(tenant: str, key_id: str) -> str:
    """The newest recording of a tenant whose key is wrapped by ``key_id``; empty if there is none."""
    by = RecordingTable.wrapped_key.contains(f'"wrapped_by":"{key_id}"')
    with connected():
        query = RecordingTable.select(RecordingTable.id).where((RecordingTable.tenant == tenant) & by)
        row = query.order_by(RecordingTable.id.desc()).first()
    return "" if row is None else str(row.id)
