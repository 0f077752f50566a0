"""Tests with one cheap request whether a store answers."""

from __future__ import annotations

from recorder.health import HealthFinding
from recorder.store.contract import Store

PLACE = "probe/"
"""A prefix below which little or nothing is stored."""


def ping_store(store: Store) -> HealthFinding:
    """List almost nothing: unlike a read of one object, this reveals a bucket that is missing or forbidden.
    Raises :class:`StoreError`."""
    next(iter(store.list(PLACE)), None)
    return HealthFinding(True, "the bucket answers")
