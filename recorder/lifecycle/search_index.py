"""The search index made again from the calls' rows, for a catalogue that was damaged or changed by hand.

Triggers keep the index (:mod:`recorder.catalogue.tables.listed_call`); writing a row's number again makes
them list the row again.
"""

from __future__ import annotations

from typing import Any

from recorder.auditlog.append import lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.listed_call import (
    ListedCallTable,
    ListedLineTable,
    ListedPartyTable,
    PartySuffixTable,
)
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable

BATCH = 500


def rebuild() -> int:
    """Make the index again, a customer at a time, a batch per transaction; returns how many calls it has. A
    search meanwhile misses some calls."""
    with connected():
        tenants = [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]
    for tenant in tenants:
        _drop(tenant)
        for model in (RecordingTable, NotRecordedTable):
            _list(model, tenant)
    with connected():
        return int(ListedCallTable.select().count())


def is_complete() -> bool:
    """Whether the index has as many calls as the rows that it is made from."""
    with connected():
        listed = ListedCallTable.select().count()
        recordings = RecordingTable.select().where(RecordingTable.erased_at.is_null()).count()
        others = NotRecordedTable.select().where(NotRecordedTable.tenant.is_null(False)).count()
    return bool(listed == recordings + others)


def _drop(tenant: str) -> None:
    with writing():
        lock_tenant(tenant)
        for model in (ListedCallTable, ListedPartyTable, PartySuffixTable, ListedLineTable):
            model.delete().where(model.tenant_id == tenant).execute()


def _list(model: Any, tenant: str) -> None:
    after = ""
    while True:
        with writing():
            lock_tenant(tenant)
            page = model.select(model.id).where((model.tenant == tenant) & (model.id > after))
            ids = [row.id for row in page.order_by(model.id).limit(BATCH)]
            if not ids:
                return
            model.update(number=model.number).where(model.id.in_(ids)).execute()
        after = ids[-1]
