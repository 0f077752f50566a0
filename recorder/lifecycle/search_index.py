"""The search index made again from the calls' rows, for a catalogue that was damaged or changed by hand.

Triggers keep the index (:mod:`recorder.catalogue.tables.listed_call`); writing a row's number again makes
them list the row again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from peewee import JOIN, Value, fn

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.database import connected, database
from recorder.catalogue.tables.listed_call import (
    ListedCallTable,
    ListedColleagueTable,
    ListedLineTable,
    ListedPartyTable,
    PartySuffixTable,
)
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import from_iso

BATCH = 500

INDEX: Final = (ListedCallTable, ListedColleagueTable, ListedPartyTable, PartySuffixTable, ListedLineTable)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
    """Whether the index has each call as its row is, and no other."""
    with connected():
        tenants = [row.id for row in TenantTable.select(TenantTable.id)]
        return not any(True for tenant in tenants for _ in find_differences(tenant))


def find_differences(tenant: str) -> Iterator[tuple[str, str]]:
    """The ids of a customer's calls whose entry in the index is not as it would be made again, each with what
    differs; entries without a call included."""
    for recorded, model in ((1, RecordingTable), (0, NotRecordedTable)):
        last = ""
        while rows := _calls(model, tenant, last):
            entries = {each[0]: each[1:] for each in _entries(tenant, [row[0] for row in rows], recorded)}
            for identity, *columns in rows:
                entry = entries.get(identity)
                if entry is None:
                    yield identity, "it is not listed"
                elif entry != tuple(columns):
                    yield identity, "it is listed differently"
            last = rows[-1][0]
    yield from _without_call(tenant)


def _calls(model: Any, tenant: str, after: str) -> list[tuple[Any, ...]]:
    """A page of calls, in the form of :func:`_entries`."""
    is_recording = model is RecordingTable
    none = Value(None)
    columns = (
        model.id, model.tenant, fn.COALESCE(model.line_id, ""), model.number, model.started_at,
        model.direction, fn.NULLIF(model.external_value, ""),
        fn.NULLIF(model.internal_value, "") if is_recording else none,
        model.duration_ms if is_recording else none, none if is_recording else model.reason,
    )  # fmt: skip
    mine = (model.tenant == tenant) & (model.id > after)
    if is_recording:
        mine &= model.erased_at.is_null()
    query = model.select(*columns).where(mine).order_by(model.id).limit(BATCH)
    return [(*row[:4], _milliseconds(row[4]), *row[5:]) for row in database.execute(query)]


def _entries(tenant: str, ids: list[str], recorded: int) -> Iterator[tuple[Any, ...]]:
    external, internal = ListedPartyTable.alias(), ListedPartyTable.alias()
    query = (
        ListedCallTable.select(
            ListedCallTable.id, ListedCallTable.tenant_id, ListedLineTable.line_id, ListedLineTable.number,
            ListedCallTable.started_ms, ListedCallTable.direction, external.value, internal.value,
            ListedCallTable.duration_ms, ListedCallTable.reason,
        )
        .join(ListedLineTable, JOIN.LEFT_OUTER, on=(ListedLineTable.id == ListedCallTable.line))
        .join(external, JOIN.LEFT_OUTER, on=(external.id == ListedCallTable.external))
        .join(internal, JOIN.LEFT_OUTER, on=(internal.id == ListedCallTable.internal))
        .where(ListedCallTable.id.in_(ids) & (ListedCallTable.recorded == recorded))
    )  # fmt: skip
    return iter(database.execute(query))


def _without_call(tenant: str) -> Iterator[tuple[str, str]]:
    recordings = RecordingTable.select(RecordingTable.id).where(
        (RecordingTable.tenant == tenant) & RecordingTable.erased_at.is_null()
    )
    others = NotRecordedTable.select(NotRecordedTable.id).where(NotRecordedTable.tenant == tenant)
    for recorded, calls in ((1, recordings), (0, others)):
        is_recording = ListedCallTable.recorded != 0
        mine = (ListedCallTable.tenant_id == tenant) & (is_recording if recorded else ~is_recording)
        query = ListedCallTable.select(ListedCallTable.id).where(mine & ListedCallTable.id.not_in(calls))
        for (identity,) in database.execute(query):
            yield str(identity), "it is listed, but there is no such call"


def _milliseconds(at: Any) -> int | None:
    try:
        return (from_iso(at) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError, AttributeError):  # a tampered row
        return None


def _drop(tenant: str) -> None:
    with tenant_lock(tenant):
        for model in INDEX:
            model.delete().where(model.tenant_id == tenant).execute()


def _list(model: Any, tenant: str) -> None:
    after = ""
    while True:
        with tenant_lock(tenant):
            page = model.select(model.id).where((model.tenant == tenant) & (model.id > after))
            ids = [row.id for row in page.order_by(model.id).limit(BATCH)]
            if not ids:
                return
            model.update(number=model.number).where(model.id.in_(ids)).execute()
        after = ids[-1]
