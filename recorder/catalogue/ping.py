"""Whether the catalogue answers, asked with one cheap question."""

from __future__ import annotations

from recorder.catalogue import change_counter
from recorder.health import HealthFinding


def ping() -> HealthFinding:
    """Ask for a number.  Raises :class:`CatalogueError`."""
    revision = change_counter.revision(change_counter.LINES)
    return HealthFinding(True, f"the catalogue answers (revision {revision} of its lines)")
