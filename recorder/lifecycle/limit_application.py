"""Applies changed retention limits: recomputes each row's expiry from its sealed manifest and amendments."""

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


def apply_limits(
    store: Store, root: Ed25519PublicKey, now: datetime, revoked: Callable[[], Revoked] = none_revoked
) -> int:
    """Apply each new limit to the recordings that it may concern; returns how many rows changed. Resumes
    after an interruption.

    A recording with an invalid seal, or with an amendment by a ``revoked`` key, is logged and its row is left
    unchanged. Raises :class:`recorder.errors.StoreError`."""
    changed, trust = 0, Trust(root, revoked)
    while (batch := limits.next_unapplied()) is not None:
        limit, rows = batch
        for row in rows:
            try:
                changed += amendments.update_expiry(row, chain_of_row(row, store, root, revoked()), trust)
            except SealError as error:
                log.error(
                    "recording.limit_failed", recording=row.id, error_id=error.error_id, error=error.message
                )
        limits.note_applied(limit, rows[-1].id if rows else None, now)
    return changed
