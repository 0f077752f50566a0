"""Checks that the catalogue answers, with one cheap query."""

from __future__ import annotations

from recorder.catalogue import change_counter
from recorder.health import HealthFinding


def ping() -> HealthFinding:
    """Read a counter. Raises :class:`CatalogueError`."""
    revision = change_counter.revision(change_counter.LINES)
    return HealthFinding(True, f"the catalogue answers (revision {revision} of its lines)")
