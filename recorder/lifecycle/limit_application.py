"""Applies changed retention limits: each row's expiry is computed again from its sealed manifest and
amendments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError
from recorder.lifecycle import amendments, limits
from recorder.lifecycle.amendment_store import chain_of_row
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.store.contract import Store

log = structlog.get_logger()


def settle(
    store: Store, root: Ed25519PublicKey, now: datetime, revoked: Callable[[], Revoked] = none_revoked
) -> int:
    """Look at every recording that a limit may concern and that was not looked at since it was set; how many
    rows were changed.  Broken off, it goes on where it was.

    One whose seal is broken, or that has an amendment by a key that is ``revoked``, is logged, and its row
    stays.  Raises :class:`recorder.errors.StoreError`."""
    changed, trust = 0, Trust(root, revoked)
    while (batch := limits.unsettled()) is not None:
        limit, rows = batch
        for row in rows:
            try:
                changed += amendments.settle(row, chain_of_row(row, store, root, revoked()), trust)
            except SealError as error:
                log.error(
                    "recording.limit_failed", recording=row.id, error_id=error.error_id, error=error.message
                )
        limits.settled(limit, rows[-1].id if rows else None, now)
    return changed
