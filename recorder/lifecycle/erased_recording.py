"""Recordings that were erased, as their tombstones say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog.append import LockedTenant
from recorder.auditlog.leaf_erasure import RecordingErasure
from recorder.errors import AccessError, SealError
from recorder.seal import hints
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import Erased


@dataclass(frozen=True, slots=True)
class ErasedRecording(RecordingErasure):
    """A recording with a tombstone at the end of its chain, while its customer is locked. Nothing can follow
    a tombstone, and nothing before it can be missing: so the chain is complete. ``reason`` and ``at`` are
    the tombstone's."""

    reason: str
    at: datetime

    @property
    def recording(self) -> str:
        return self.objects[0]


def erased_recording(locked: LockedTenant, chain: Chain) -> ErasedRecording:
    """The erasure of a recording of the locked customer's, by its chain. Raises :class:`SealError`
    (``recording.not_erased``)."""
    tombstone, manifest = chain.erased, chain.manifest
    if tombstone is None or not isinstance(tombstone.data, Erased) or manifest.tenant != locked.tenant:
        raise SealError(
            "recording.not_erased", f"recording {manifest.recording} has no tombstone", hints.COMPARE
        )
    return ErasedRecording(locked, (manifest.recording,), tombstone.data.reason, tombstone.at)


def recording_erased() -> AccessError:
    """The error for a recording that is asked for after its erasure."""
    return AccessError(
        "access.erased",
        "the recording has been destroyed",
        "its receipt shows when and why: `accord recording receipt`",
    )
