"""Whether a store answers, asked with one cheap question."""

from __future__ import annotations

from recorder.health import HealthFinding
from recorder.store.contract import Store

PLACE = "probe/"
"""Where little or nothing lies."""


def reach(store: Store) -> HealthFinding:
    """List nothing much: a bucket that is missing or closed to us says so, which asking for one object does
    not.  Raises :class:`StoreError`."""
    next(iter(store.list(PLACE)), None)
    return HealthFinding(True, "the bucket answers")
