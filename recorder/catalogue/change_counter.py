"""Counting what a node must hear of: the worker's snapshot follows."""

from __future__ import annotations

from recorder.catalogue.database import connected
from recorder.catalogue.tables.change_counter import ChangeCounterTable

LINES = "lines"
"""The revision that counts changes of lines, announcements and tenants."""


def increment(name: str) -> None:
    """Say, inside the caller's transaction, that something changed."""
    ChangeCounterTable.insert(name=name, number=0).on_conflict_ignore().execute()
    ChangeCounterTable.update(number=ChangeCounterTable.number + 1).where(
        ChangeCounterTable.name == name
    ).execute()


def revision(name: str) -> int:
    """How often something changed; cheap enough to ask every second."""
    with connected():
        row = ChangeCounterTable.get_or_none(ChangeCounterTable.name == name)
    return 0 if row is None else int(row.number)
