"""The queue of a rebuild: every place found in the bucket, and the outcome of each.

It is in the catalogue, so that a batch of rows and its mark are one transaction, and another machine can
resume. It is dropped when the rebuild has finished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from peewee import fn

from recorder.catalogue.bulk_insert import insert_rows
from recorder.catalogue.database import connected, writing
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable, QueuedPlaceTable, clear_state

REBUILD = "rebuild"
PAGE = 1000

PHASES = ("list", "read", "keys", "rows")
"""The phases of a rebuild, in their order."""

UNPLACED = "unplaced"
"""An object in a place that is not Accord's."""

KEY_ALONE = "key_alone"
"""A recording's key without the recording."""

ROW_ALONE = "row_alone"
"""A row without anything in the bucket."""

STATEMENT = "statement"
"""A statement, receipt or note that is ignored."""


@dataclass(frozen=True, slots=True)
class QueuedPlace:
    """A place with the names of its objects, and the recording that its name states ('' for none)."""

    place: str
    names: tuple[str, ...]
    recording: str
    outcome: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RebuildPosition:
    """The position of a rebuild: its phase, and the last key, or row, that is done."""

    phase: str
    after: str
    since: datetime


def interrupted() -> RebuildPosition | None:
    """The position of an interrupted rebuild; ``None`` if there is none, or the row is not what a rebuild
    writes: the next one then begins anew."""
    with connected():
        try:
            row = GlobalStateTable.get_or_none(GlobalStateTable.name == REBUILD)
        except (TypeError, ValueError):
            return None
    if row is None:
        return None
    match row.data:
        case {"phase": str(phase), "after": str(after)} if phase in PHASES:
            return RebuildPosition(phase, after, row.since)
    return None


def begin(now: datetime) -> RebuildPosition:
    """Resume the interrupted rebuild, or else start one with an empty queue."""
    position = interrupted()
    if position is not None:
        return position
    finish()
    with writing():
        GlobalStateTable.create(name=REBUILD, data={"phase": PHASES[0], "after": ""}, since=now)
    return RebuildPosition(PHASES[0], "", now)


def add(found: Sequence[QueuedPlace], phase: str, after: str) -> None:
    """Queue places and store the position, in one transaction."""
    with writing():
        rows = [columns_of(each, QueuedPlaceTable) for each in found]
        insert_rows(QueuedPlaceTable, rows, existing_ok=True)
        GlobalStateTable.update(data={"phase": phase, "after": after}).where(
            GlobalStateTable.name == REBUILD
        ).execute()


def pending_places(after: str, limit: int) -> list[QueuedPlace]:
    """Places without an outcome, after ``after``, in the database's order."""
    with connected():
        query = QueuedPlaceTable.select().where(
            QueuedPlaceTable.outcome.is_null() & (QueuedPlaceTable.place > after)
        )
        rows = list(query.order_by(QueuedPlaceTable.place).limit(limit))
    return [read_value(QueuedPlace, row) for row in rows]


def note_outcomes(outcomes: Iterable[tuple[str, str, str | None, str | None]]) -> None:
    """Store place, outcome, code and message of each, inside the caller's transaction."""
    clean: dict[str, list[str]] = defaultdict(list)
    for place, outcome, code, message in outcomes:
        if code is None:
            clean[outcome].append(place)
        else:
            QueuedPlaceTable.update(outcome=outcome, code=code, message=message).where(
                QueuedPlaceTable.place == place
            ).execute()
    for outcome, places in clean.items():
        QueuedPlaceTable.update(outcome=outcome).where(QueuedPlaceTable.place.in_(places)).execute()


def progress() -> tuple[int, int]:
    """How many recordings were found in the bucket, and how many of them are done."""
    with connected():
        condition = QueuedPlaceTable.recording_id != ""
        return (
            QueuedPlaceTable.select().where(condition).count(),
            QueuedPlaceTable.select().where(condition & QueuedPlaceTable.outcome.is_null(False)).count(),
        )


def outcomes() -> dict[str, int]:
    """The number of places by outcome."""
    with connected():
        query = QueuedPlaceTable.select(QueuedPlaceTable.outcome, fn.COUNT(QueuedPlaceTable.place)).group_by(
            QueuedPlaceTable.outcome
        )
        counted: list[tuple[str | None, int]] = list(cast("Any", query.tuples()))
    return {outcome: count for outcome, count in counted if outcome is not None}


def places_of(recordings: Sequence[str]) -> dict[str, QueuedPlace]:
    """The places of some recordings."""
    with connected():
        rows = list(QueuedPlaceTable.select().where(QueuedPlaceTable.recording_id.in_(recordings)))
    return {row.recording_id: read_value(QueuedPlace, row) for row in rows}


def add_problem(place: str, code: str, message: str) -> None:
    """Add a problem to a place."""
    with writing():
        row = QueuedPlaceTable.get(QueuedPlaceTable.place == place)
        if message in (row.message or ""):
            return
        messages = message if row.message is None else f"{row.message}; {message}"
        QueuedPlaceTable.update(code=row.code or code, message=messages).where(
            QueuedPlaceTable.place == place
        ).execute()


def problems() -> Iterator[QueuedPlace]:
    """Places with a problem, by name, a page at a time."""
    last = ""
    while True:
        with connected():
            query = QueuedPlaceTable.select().where(
                QueuedPlaceTable.code.is_null(False) & (QueuedPlaceTable.place > last)
            )
            rows = list(query.order_by(QueuedPlaceTable.place).limit(PAGE))
        yield from (read_value(QueuedPlace, row) for row in rows)
        if len(rows) < PAGE:
            return
        last = rows[-1].place


def finish() -> None:
    """Drop the queue of a finished rebuild."""
    with writing():
        QueuedPlaceTable.delete().execute()
        clear_state(REBUILD)
