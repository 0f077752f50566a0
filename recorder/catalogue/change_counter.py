"""Counts the changes that a node's configuration snapshot must follow."""

from __future__ import annotations

from functools import partial

from recorder.catalogue.database import connected, current_batch
from recorder.catalogue.tables.change_counter import ChangeCounterTable

LINES = "lines"
"""Counts changes to lines, announcements and tenants."""


def increment(name: str) -> None:
    """Count a change, inside the caller's transaction; the changes of a batch count once, at its end, so that
    others wait no longer than for that."""
    if (batch := current_batch()) is None:
        _write(name)
    else:
        batch.finish[f"counter {name}"] = partial(_write, name)


def _write(name: str) -> None:
    counter = ChangeCounterTable.insert(name=name, number=1)
    more = {ChangeCounterTable.number: ChangeCounterTable.number + 1}
    counter.on_conflict(conflict_target=[ChangeCounterTable.name], update=more).execute()


def revision(name: str) -> int:
    """The number of changes so far; cheap enough to read every second."""
    with connected():
        row = ChangeCounterTable.get_or_none(ChangeCounterTable.name == name)
    return 0 if row is None else int(row.number)
