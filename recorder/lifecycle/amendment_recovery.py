"""Lists amendments that were put into the bucket by a process that died before listing them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import queries
from recorder.catalogue.tables import lease
from recorder.fault_log import FaultLog
from recorder.ids import Entropy
from recorder.isolation import isolate_object
from recorder.lifecycle import amendments
from recorder.lifecycle.amendment_store import chain_of_row
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.store.contract import Store

log = structlog.get_logger()


def list_pending(
    store: Store,
    root: Ed25519PublicKey,
    now: datetime,
    entropy: Entropy,
    revoked: Callable[[], Revoked] = none_revoked,
    faults: FaultLog | None = None,
) -> int:
    """List the amendments of interrupted processes; returns how many recordings had any. A recording that has
    an invalid seal, or an amendment by a ``revoked`` key, is reported to ``faults`` and checked again next
    time. Raises :class:`recorder.store.contract.Unreachable`."""
    owner, count, faults = entropy(8).hex(), 0, faults or FaultLog()
    for tenant, recording in amendments.pending_amendments(now - timedelta(minutes=1)):
        claim = f"recording:{recording}"
        if not lease.take(claim, owner, now):
            continue
        try:
            with isolate_object(faults, "amendments.recovery_failed", recording, recording=recording):
                count += _finish_one(tenant, recording, store, root, now, entropy, revoked())
        finally:
            lease.release(claim, owner)
    return count


def _finish_one(
    tenant: str,
    recording: str,
    store: Store,
    root: Ed25519PublicKey,
    now: datetime,
    entropy: Entropy,
    revoked: Revoked,
) -> bool:
    row = queries.recording(tenant, recording)
    added = 0
    if row is not None and row.erased_at is None:
        chain = chain_of_row(row, store, root, revoked)
        added = (
            0
            if chain.erased is not None
            else amendments.list_amendments(chain, Trust(root, lambda: revoked), now=now, entropy=entropy)
        )
    amendments.end_amendment(recording)
    log.info("amendments.recovered", recording=recording, added=added)
    return bool(added)
