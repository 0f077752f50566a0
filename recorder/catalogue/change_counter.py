"""Counts the changes that a node's configuration snapshot must follow."""

from __future__ import annotations

from recorder.catalogue.database import connected
from recorder.catalogue.tables.change_counter import ChangeCounterTable

LINES = "lines"
"""Counts changes to lines, announcements and tenants."""


def increment(name: str) -> None:
    """Count a change, inside the caller's transaction."""
    ChangeCounterTable.insert(name=name, number=0).on_conflict_ignore().execute()
    ChangeCounterTable.update(number=ChangeCounterTable.number + 1).where(
        ChangeCounterTable.name == name
    ).execute()


def revision(name: str) -> int:
    """The number of changes so far; cheap enough to read every second."""
    with connected():
        row = ChangeCounterTable.get_or_none(ChangeCounterTable.name == name)
    return 0 if row is None else int(row.number)
