"""Recordings whose retention period has ended, by what was sealed, amended and logged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog.append import lock_tenant
from recorder.auditlog.complete_log import complete_log, signed_length
from recorder.catalogue.database import writing
from recorder.catalogue.records import RecordingRow
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.lifecycle import amendments, retention_limits
from recorder.lifecycle.amendment_store import chain_of_row
from recorder.lifecycle.current_terms import current_terms
from recorder.lifecycle.hold_review import check_confirmed
from recorder.seal.amendment_chain import Chain
from recorder.seal.revocation import Trust
from recorder.seal.usage_terms import terms
from recorder.store.contract import Store
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class ExpiredRecording(VerifiedState):
    """A recording that is to be erased: by its chain its retention period has ended (``why``), nothing keeps
    it, and the log, which is complete, has no amendment that the chain lacks. It is true for as long as the
    caller has the recording's lease, under which alone it is amended."""

    row: RecordingRow
    chain: Chain
    why: str


def check_expired(
    row: RecordingRow,
    store: Store,
    trust: Trust,
    now: datetime,
) -> ExpiredRecording:
    """Compare a row that is due with what was sealed and logged.

    Raises :class:`SealError` if the sealed time is not over (``seal.row_differs``), if the recording is on
    hold (``recording.held``), if the holds are not confirmed after a restore or rebuild
    (``retention.holds_unconfirmed``), if the manifest is missing (``seal.manifest_missing``) or another
    recording's (``seal.manifest_foreign``), if it or an amendment is invalid, if a revoked key signed an
    amendment (``seal.key_revoked``), if the log names another one (:func:`amendments.check_complete`), or if
    the recording has expired by a retention limit that the bucket does not contain
    (``retention.differs``); :class:`AuditLogError` if the log is not complete
    (:func:`recorder.auditlog.complete_log.complete_log`); :class:`StoreError`."""
    check_confirmed(row.tenant, trust)
    chain = chain_of_row(row, store, trust.root, trust.revoked())
    if chain.holds:
        numbers = ", ".join(str(each.number) for each in chain.holds)
        raise SealError(
            "recording.held",
            f"recording {row.id} is on legal hold (amendment {numbers}) that the catalogue lacks",
            "run `accord rebuild` to complete the catalogue",
        )
    length = signed_length(row.tenant, store, trust.root)
    with writing():
        log = complete_log(lock_tenant(row.tenant), length)
        amendments.check_complete(log, chain)
        usage = current_terms(log.locked, chain, trust).terms
    until = usage.until
    if chain.erased is None and until > now:
        raise SealError(
            "seal.row_differs",
            f"the catalogue keeps recording {row.id} until {to_iso(row.keep_until)}, "
            f"but it was sealed until {to_iso(until)}",
            "run `accord audit run`: the row was changed after it was written",
        )
    if chain.erased is None and terms(chain.manifest, chain.amendments).until > now:
        retention_limits.check_stored(row.tenant, store, trust)
    return ExpiredRecording(row, chain, usage.why)
