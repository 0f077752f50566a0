"""Counting what a node must hear of: the worker's snapshot follows."""

from __future__ import annotations

from recorder.catalogue.tables.core import Revision, connected

LINES = "lines"
"""The revision that counts changes of lines, announcements and tenants."""


def count_up(name: str) -> None:
    """Say, inside the caller's transaction, that something changed."""
    Revision.insert(name=name, number=0).on_conflict_ignore().execute()
    Revision.update(number=Revision.number + 1).where(Revision.name == name).execute()


def revision(name: str) -> int:
    """How often something changed; cheap enough to ask every second."""
    with connected():
        row = Revision.get_or_none(Revision.name == name)
    return 0 if row is None else int(row.number)
