"""A page of the call list: its calls, its neighbours, and how many calls fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from peewee import fn

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.mappers import not_recorded_row, recording_row
from recorder.catalogue.records import Cursor, NotRecordedRow, RecordingRow
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.fault_log import FaultLog
from recorder.features.call_list import queries
from recorder.features.call_list.queries import CallCount, Key, KeyPage, Plan
from recorder.features.call_list.rules import CallQuery
from recorder.ids import Entropy
from recorder.seal.amendment_kinds import DELETION_REQUESTED, HOLD_SET

Row = TypeVar("Row", RecordingRow, NotRecordedRow)

DOWNLOADED: Final = "call_list.downloaded"

MANY_NEW = 99
"""New calls that are counted for the button above the list."""

BATCH = 200
"""Calls that are read at once for the whole list."""


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One call of the list: a ``recording``, which may be ``held`` (on legal hold, with ids of its
    ``handlers``), wait for its deletion (``deletes``), and have ``notes`` (how many) and ``labels``, or an
    unrecorded call (``missing``)."""

    recording: RecordingRow | None
    missing: NotRecordedRow | None
    handlers: tuple[str, ...] = ()
    deletes: bool = False
    notes: int = 0
    labels: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        return bool(self.handlers)

    @property
    def row(self) -> RecordingRow | NotRecordedRow:
        row = self.recording or self.missing
        assert row is not None
        return row

    @property
    def started_at(self) -> datetime:
        return self.row.started_at

    @property
    def place(self) -> Cursor:
        return Cursor(self.row.started_at, self.row.id)


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls, latest first; ``older`` and ``newer`` are positions to read on from, ``None`` at either end.
    ``searched_to``: the search stopped there, and goes on from ``older``."""

    calls: tuple[CallEntry, ...]
    older: Cursor | None
    newer: Cursor | None
    count: CallCount
    searched_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallNeighbours:
    """The calls before and after one of the same query."""

    earlier: CallEntry | None = None
    later: CallEntry | None = None


def list_calls(
    query: CallQuery,
    *,
    after: Cursor | None = None,
    before: Cursor | None = None,
    limit: int,
    faults: FaultLog | None = None,
) -> CallPage:
    """The latest calls of a tenant that fit, those ``after`` a position, or those ``before`` it. One whose
    row cannot be read is left out, and reported to ``faults`` as ``call.unreadable``."""
    with queries.following_indexes():
        plan = queries.plan(query)
        if plan is None:
            return CallPage((), None, None, CallCount(0, True))
        found = queries.page(plan, after=after, before=before, limit=limit)
        if before is not None and not found.more and len(found.keys) < limit:
            # Reading back has reached the start of the list: show its first page whole.
            after = before = None
            found = queries.page(plan, limit=limit)
        older, newer = _neighbours(found, after, before)
        entries = _entries(plan, found.keys, faults or FaultLog())
        return CallPage(entries, older, newer, queries.count(plan), found.stopped_at)


def all_calls(query: CallQuery, faults: FaultLog) -> Iterator[tuple[CallEntry, ...]]:
    """All calls of a query, latest first, in batches, each read with a connection of its own. One whose row
    cannot be read is left out, and reported to ``faults``."""
    after: Cursor | None = None
    while True:
        with queries.following_indexes():
            plan = queries.plan(query)
            if plan is None:
                return
            found = queries.page(plan, after=after, limit=BATCH)
            entries = _entries(plan, found.keys, faults)
        yield entries
        after, _newer = _neighbours(found, after, None)
        if after is None:
            return


def note_download(tenant: str, user: str, now: datetime, entropy: Entropy) -> None:
    """Log that a user takes the list with them, before its first line leaves."""
    with tenant_lock(tenant):
        append(tenant, DOWNLOADED, {"user": user}, now, entropy)


def find_neighbours(query: CallQuery, place: Cursor) -> CallNeighbours:
    """The calls of a query before and after one at a place. A call whose row cannot be read is no
    neighbour."""
    with queries.following_indexes():
        plan = queries.plan(query)
        if plan is None:
            return CallNeighbours()
        pages = queries.page(plan, after=place, limit=1), queries.page(plan, before=place, limit=1)
        found = [_entries(plan, each.keys, FaultLog()) for each in pages]
        return CallNeighbours(*(entries[0] if entries else None for entries in found))


def count_new(query: CallQuery, oldest: Cursor | None, page_size: int) -> int:
    """How many calls have come since a first page was made, whose last call is ``oldest``, and which
    ``page_size`` calls: a long call may start before others, and be listed after them."""
    with queries.following_indexes():
        plan = queries.plan(query)
        if plan is None:
            return 0
        start = oldest or Cursor(queries.EPOCH, "")
        return max(0, queries.count_from(plan, start, page_size + MANY_NEW) - page_size)


def reasons(tenant: str) -> tuple[str, ...]:
    """The reasons why calls of a tenant were not recorded, for the filter."""
    return queries.reasons(tenant)


def _neighbours(
    found: KeyPage, after: Cursor | None, before: Cursor | None
) -> tuple[Cursor | None, Cursor | None]:
    older: Cursor | None = None
    newer: Cursor | None = None
    if before is not None:
        older = _cursor(found.keys[-1]) if found.keys else before
        if found.more:
            newer = _stopped(found, "z") or _cursor(found.keys[0])
        return older, newer
    if found.more:
        older = _stopped(found, "0") or _cursor(found.keys[-1])
    if after is not None:
        newer = _cursor(found.keys[0]) if found.keys else after
    return older, newer


def _stopped(found: KeyPage, beyond: str) -> Cursor | None:
    """Where a search that stopped goes on: at the next millisecond, beyond every id of that one."""
    return None if found.stopped_at is None else Cursor(found.stopped_at, beyond)


def _cursor(key: Key) -> Cursor:
    return Cursor(queries.time_of(key[0]), key[1])


def _entries(plan: Plan, keys: tuple[Key, ...], faults: FaultLog) -> tuple[CallEntry, ...]:
    """The rows behind the index, which decides nothing but the order: each is the tenant's own."""
    tenant, ids = plan.query.tenant, [identity for _, identity, recorded in keys if recorded]
    others = [identity for _, identity, recorded in keys if not recorded]
    own = _own(RecordingTable, tenant, ids, recording_row, faults)
    recordings = {row.id: row for row in own if row.erased_at is None}
    missing = {row.id: row for row in _own(NotRecordedTable, tenant, others, not_recorded_row, faults)}
    on_hold, to_delete = _recordings_on_hold(tenant, ids), _recordings_to_delete(tenant, ids)
    notes = _notes_and_labels(tenant, ids)
    found = []
    for _, identity, _ in keys:
        if identity in recordings:
            texts = notes.get(identity, [])
            labels = tuple(sorted(text for kind, text in texts if kind == "label"))
            number, handlers = len(texts) - len(labels), tuple(on_hold.get(identity, ()))
            deletes = identity in to_delete
            found.append(CallEntry(recordings[identity], None, handlers, deletes, number, labels))
        elif identity in missing:
            found.append(CallEntry(None, missing[identity]))
    return tuple(found)


def _own(model: Any, tenant: str, ids: list[str], read: Callable[[Any], Row], faults: FaultLog) -> list[Row]:
    """The tenant's rows with these ids. The tenant is compared as an expression: SQLite, without statistics,
    would otherwise read all of the tenant's rows."""
    mine = fn.coalesce(model.tenant, "") == tenant
    query = model.select().where(model.id.in_(ids) & mine)
    return read_rows(query, read, faults, "call.unreadable", whole=False) if ids else []


def _recordings_on_hold(tenant: str, ids: list[str]) -> dict[str, list[str]]:
    """The recordings on legal hold, each with the owners of its holds."""
    found: dict[str, list[str]] = {}
    for row in _amendments(tenant, ids, HOLD_SET):
        found.setdefault(row.recording_id, []).append(str(row.data.get("owner", "")))
    return found


def _recordings_to_delete(tenant: str, ids: list[str]) -> frozenset[str]:
    """The recordings whose deletion was asked for."""
    return frozenset(row.recording_id for row in _amendments(tenant, ids, DELETION_REQUESTED))


def _amendments(tenant: str, ids: list[str], kind: str) -> list[AmendmentTable]:
    """The amendments of a kind to some recordings that no other one has ended; only what the list shows,
    since a damaged column must not stop it."""
    kinds = (AmendmentTable.kind == kind) & AmendmentTable.ended_by.is_null()
    mine = (fn.coalesce(AmendmentTable.tenant, "") == tenant) & AmendmentTable.recording.in_(ids)
    query = AmendmentTable.select(AmendmentTable.recording, AmendmentTable.data).where(mine & kinds)
    return list(query) if ids else []


def _notes_and_labels(tenant: str, ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    """The notes and labels of recordings, by id: kind and text."""
    found: dict[str, list[tuple[str, str]]] = {}
    if ids:
        mine = (fn.coalesce(NoteTable.tenant, "") == tenant) & NoteTable.recording.in_(ids)
        for row in NoteTable.select().where(mine & NoteTable.deleted_at.is_null()):
            found.setdefault(row.recording_id, []).append((row.kind, row.text))
    return found
