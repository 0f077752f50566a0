"""The end of a dispute: it is closed, and none of its recordings is left.

The rows propose a dispute, and its statements decide: which recordings it is about, and that it is closed.
Each of these recordings must have a tombstone in the bucket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recorder.auditlog.complete_log import CompleteLog
from recorder.auditlog.leaf_erasure import DisputeErasure
from recorder.catalogue import queries as catalogue
from recorder.errors import SealError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute
from recorder.lifecycle.amendment_store import chain_of_row
from recorder.lifecycle.erased_recording import erased_recording
from recorder.seal import hints
from recorder.seal.amendment_chain import Chain
from recorder.seal.revocation import Trust
from recorder.store.contract import Store


@dataclass(frozen=True, slots=True)
class ErasedDispute(DisputeErasure):
    """A closed dispute all of whose recordings are erased, while its customer is locked."""


def chains_of(dispute: Dispute, store: Store, trust: Trust) -> tuple[Chain, ...]:
    """The chains of a dispute's recordings, from the bucket. Raises :class:`SealError`
    (``dispute.no_recording`` for one that no row leads to), :class:`recorder.errors.StoreError`."""
    chains = []
    for recording in dispute.recording_ids:
        row = catalogue.recording(dispute.tenant, recording)
        if row is None:
            what = f"dispute {dispute.id} is about recording {recording}, which no row leads to"
            raise SealError("dispute.no_recording", what, hints.COMPARE)
        chains.append(chain_of_row(row, store, trust.root, trust.revoked()))
    return tuple(chains)


def erased_dispute(log: CompleteLog, dispute: str, chains: Sequence[Chain], trust: Trust) -> ErasedDispute:
    """The erasure of a dispute of the locked customer's, by its statements, and the chains of its recordings
    (:func:`chains_of`). Raises :class:`SealError` (``dispute.not_erased``, ``recording.not_erased``; where
    statements and log do not agree), :class:`DisputeError` (``dispute.not_found``)."""
    locked = log.locked
    found = queries.find_dispute(locked.tenant, dispute, trust)
    erased = {erased_recording(locked, each).recording for each in chains}
    if found.closed_at is None or not erased.issuperset(found.recording_ids):
        what = f"a row says that dispute {dispute} is erased, and its statements do not"
        raise SealError("dispute.not_erased", what, hints.COMPARE)
    return ErasedDispute(locked, (dispute,), tuple(sorted(found.recording_ids)))
