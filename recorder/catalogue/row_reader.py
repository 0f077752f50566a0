"""Reads many rows, one of which may contain anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from recorder.catalogue.database import connected
from recorder.fault_log import FaultLog
from recorder.isolation import concerns_all, isolate_object

Value = TypeVar("Value")


def read_rows(query: Any, read: Callable[[Any], Value], faults: FaultLog, event: str) -> list[Value]:
    """What ``read`` makes of each row of a query of one table; a row that it cannot read is left out, and
    reported to ``faults`` as ``event`` about its primary key. Raises :class:`recorder.errors.CatalogueError`
    (``catalogue.away``)."""
    with connected():
        try:
            return [read(row) for row in query]
        except Exception as error:
            if concerns_all(error):
                raise
        key, values = query.model._meta.primary_key, []
        for (name,) in list(query.select(key).tuples()):
            with isolate_object(faults, event, name, row=name):
                values.append(read(query.where(key == name).get()))
        return values
