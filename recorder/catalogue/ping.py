"""Checks that the catalogue answers, with two cheap queries."""

from __future__ import annotations

from recorder import metrics
from recorder.catalogue import change_counter
from recorder.catalogue.database import connected
from recorder.catalogue.server_clock import clock_offset
from recorder.clock import Now, utc_now
from recorder.health import HealthFinding


def ping(now: Now = utc_now) -> HealthFinding:
    """Read a counter, and compare the server's clock with ``now``. Raises :class:`CatalogueError`."""
    with connected():
        revision = change_counter.revision(change_counter.LINES)
        metrics.CLOCK_OFFSET.set(clock_offset(now).total_seconds())
    return HealthFinding(True, f"the catalogue answers (revision {revision} of its lines)")
