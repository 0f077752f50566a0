"""Reads many rows, one of which may contain anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from recorder.catalogue.database import connected
from recorder.fault_log import FaultLog
from recorder.isolation import concerns_all, isolate_object

Value = TypeVar("Value")


def read_rows(
    query: Any, read: Callable[[Any], Value], faults: FaultLog, event: str, *, whole: bool = True
) -> list[Value]:
    """What ``read`` makes of each row of a query of one table; a row that it cannot read is left out, and
    reported to ``faults`` as ``event`` about its primary key. Every other fault of the event ends, if the
    ``whole`` of each row that may have one is read. Raises :class:`recorder.errors.CatalogueError`
    (``catalogue.away``)."""
    with connected():
        try:
            values, unreadable = [read(row) for row in query], set[str]()
        except Exception as error:
            if concerns_all(error):
                raise
            values, unreadable = _read_each(query, read, faults, event)
        if whole:
            faults.recover_others(event, unreadable)
        return values


def _read_each(
    query: Any, read: Callable[[Any], Value], faults: FaultLog, event: str
) -> tuple[list[Value], set[str]]:
    """The values of the rows that can be read, and the keys of the others."""
    key, values, unreadable = query.model._meta.primary_key, [], set()
    for (name,) in list(query.select(key).tuples()):
        with isolate_object(faults, event, name, row=name) as turn:
            values.append(read(query.where(key == name).get()))
        if turn.error is not None:
            unreadable.add(name)
    return values, unreadable
