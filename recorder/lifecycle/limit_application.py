"""Applies changed retention limits: recomputes each row's expiry from its sealed manifest and amendments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog.append import lock_tenant
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.fault_log import FaultLog
from recorder.isolation import isolate_object
from recorder.lifecycle import amendments, limits
from recorder.lifecycle.amendment_store import chain_of_row
from recorder.lifecycle.current_terms import current_terms
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.store.contract import Store


def apply_limits(
    store: Store,
    root: Ed25519PublicKey,
    now: datetime,
    revoked: Callable[[], Revoked] = none_revoked,
    faults: FaultLog | None = None,
) -> int:
    """Apply each new limit to the recordings that it may concern; returns how many rows changed. Resumes
    after an interruption.

    A recording with an invalid seal, or with an amendment by a ``revoked`` key, is reported to ``faults``,
    and its row is left unchanged. Raises :class:`recorder.store.contract.Unreachable`."""
    changed, trust, faults = 0, Trust(root, revoked), faults or FaultLog()
    while (batch := limits.next_unapplied()) is not None:
        limit, tenant, found = batch
        for recording in found:
            with isolate_object(faults, "recording.limit_failed", recording, recording=recording):
                row = queries.recording(tenant, recording)
                if row is not None:
                    chain = chain_of_row(row, store, root, revoked())
                    with writing():
                        current = current_terms(lock_tenant(tenant), chain, trust)
                        changed += amendments.update_expiry(current)
        limits.note_applied(limit, found[-1] if found else None, now)
    return changed
