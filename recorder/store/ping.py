"""Whether a store answers, tested by one cheap request."""

from __future__ import annotations

from recorder.health import HealthFinding
from recorder.store.contract import Store

PLACE = "probe/"
"""Where little or nothing is stored."""


def ping_store(store: Store) -> HealthFinding:
    """List almost nothing: unlike a read of one object, this reveals a bucket that is missing or forbidden.
    Raises :class:`StoreError`."""
    next(iter(store.list(PLACE)), None)
    return HealthFinding(True, "the bucket answers")
