"""Audits disputes: their statements must be signed, complete and in the log; the indexes must agree with
them."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.audit.findings import AuditFinding, checked
from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.errors import DisputeError, SealError
from recorder.features.disputes.outcomes import is_outcome
from recorder.features.disputes.queries import STATED, final_at, find_dispute
from recorder.features.disputes.rules import Dispute
from recorder.identity.secret_tokens import token_hash
from recorder.seal.amendment import name as amendment_name
from recorder.seal.amendment_kinds import OUTCOME_ADDED, read_data
from recorder.seal.revocation import Trust


def compare_disputes(tenant: str, trust: Trust) -> Iterator[AuditFinding]:
    """Check a tenant's disputes, those included that are named by a row or a leaf alone."""
    for dispute in _ids(tenant):
        where = f"{tenant}: dispute {dispute}"
        yield from checked(where, _compare, tenant, dispute, where, trust)


def _compare(tenant: str, dispute: str, where: str, trust: Trust) -> Iterator[AuditFinding]:
    try:
        found = find_dispute(tenant, dispute, trust)
    except SealError as error:
        yield AuditFinding(error.error_id, where, error.message)
    except DisputeError:
        yield AuditFinding("row.unlogged", where, "a row names it, but it has no statements and no leaves")
    else:
        yield from (AuditFinding("row.changed", where, what) for what in _differences(found))
        yield from _false_outcomes(found)


def _false_outcomes(dispute: Dispute) -> Iterator[AuditFinding]:
    """The amendments of a dispute's recordings that only claim to have its outcome; that their rows are as
    signed is checked with the recordings."""
    about = AmendmentTable.recording.in_(dispute.recording_ids) & (AmendmentTable.kind == OUTCOME_ADDED)
    with connected():
        rows = list(AmendmentTable.select().where((AmendmentTable.tenant == dispute.tenant) & about))
    for row in rows:
        if row.data.get("dispute") == dispute.id and not _has_outcome(row, dispute):
            what = f"{amendment_name(row.number)} differs from the outcome of dispute {dispute.id}"
            yield AuditFinding("outcome.differs", f"{dispute.tenant}: recording {row.recording_id}", what)


def _has_outcome(row: AmendmentTable, dispute: Dispute) -> bool:
    try:
        return is_outcome(read_data(row.kind, row.data), dispute)
    except SealError:
        return False


def _ids(tenant: str) -> list[str]:
    """The ids of all disputes that any row or leaf of a tenant names."""
    with connected():
        leaves = LeafTable.select(LeafTable.recording_id).where(
            (LeafTable.tenant == tenant) & (LeafTable.kind == STATED) & LeafTable.body.is_null(False)
        )
        found = {row.recording_id for row in leaves}
        found |= {row.id for row in DisputeTable.select().where(DisputeTable.tenant_id == tenant)}
        for model in (DisputeStatementTable, DisputeRecordingTable, DisputeGuestTable):
            found |= {row.dispute_id for row in model.select().where(model.tenant_id == tenant)}
    return sorted(each for each in found if each)


def _differences(dispute: Dispute) -> Iterator[str]:
    """How the indexes differ from what a dispute's statements say."""
    with connected():
        row = DisputeTable.get_or_none(DisputeTable.id == dispute.id)
        recordings = list(
            DisputeRecordingTable.select().where(DisputeRecordingTable.dispute_id == dispute.id)
        )
        guests = list(DisputeGuestTable.select().where(DisputeGuestTable.dispute_id == dispute.id))
    page = dispute.outcome.page_sha256 if dispute.outcome else None
    expected = (
        dispute.tenant, dispute.opened_at, dispute.settle_by.isoformat(), dispute.closed_at,
        final_at(dispute), page,
    )  # fmt: skip
    columns = row and (
        row.tenant_id, row.opened_at, row.settle_by, row.closed_at, row.final_at, row.page_sha256
    )  # fmt: skip
    if columns != expected:
        yield "its row is missing, or differs from the statements"
    token = row.page_token if row else None  # a rebuilt catalogue has none
    if token is not None and token_hash(token) != page:
        yield "its row has another page than the statements"
    listed = {(each.id, each.tenant_id, each.recording_id) for each in recordings}
    if listed != {(f"{dispute.id}/{each}", dispute.tenant, each) for each in dispute.recording_ids}:
        yield "the rows of its recordings differ from the statements"
    links = {(each.id, each.tenant_id, each.role, each.token_sha256) for each in guests}
    if links != {(each.id, dispute.tenant, each.role, each.token_sha256) for each in dispute.guests}:
        yield "the rows of its guests differ from the statements"
