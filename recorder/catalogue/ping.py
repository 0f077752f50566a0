"""Whether the catalogue answers, asked with one cheap question."""

from __future__ import annotations

from recorder.features.tenants import service
from recorder.health import Finding


def reach() -> Finding:
    """Ask for a number.  Raises :class:`CatalogueError`."""
    revision = service.revision(service.LINES)
    return Finding(True, f"the catalogue answers (revision {revision} of its lines)")
