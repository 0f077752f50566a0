"""Drops disputes: their statements, with what people wrote in them, and the bodies of their leaves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from recorder.auditlog.append import append, drop_bodies
from recorder.catalogue.tables.dispute import (
    DisputeCallTable,
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.catalogue.tables.identity import UserTable
from recorder.ids import Entropy
from recorder.lifecycle.statements import DISPUTES_ERASED


def dispute_ids(tenant: str) -> frozenset[str]:
    """The ids of a customer's disputes."""
    rows = DisputeStatementTable.select(DisputeStatementTable.dispute_id)
    return frozenset(row.dispute_id for row in rows.where(DisputeStatementTable.tenant_id == tenant))


def drop_disputes(tenant: str, disputes: Iterable[str], now: datetime, entropy: Entropy) -> None:
    """Inside the caller's transaction, which has locked the customer: drop some of its disputes, and the
    names of their guests, whose access has ended."""
    ids = sorted(disputes)
    if not ids:
        return
    leaves = [number for each in ids for number in drop_bodies(tenant, each)]
    about = DisputeRecordingTable.select(DisputeRecordingTable.recording_id).where(
        DisputeRecordingTable.dispute_id.in_(ids)
    )
    body = {
        "disputes": len(ids), "dispute_ids": ids, "leaves": sorted(leaves),
        "recordings": sorted({row.recording_id for row in about}),
    }  # fmt: skip
    guests = DisputeGuestTable.select(DisputeGuestTable.id).where(DisputeGuestTable.dispute_id.in_(ids))
    UserTable.update(name="", password_hash="", credential=None).where(
        (UserTable.tenant == tenant) & UserTable.id.in_(guests) & UserTable.revoked_at.is_null(False)
    ).execute()
    DisputeTable.delete().where(DisputeTable.id.in_(ids)).execute()
    for table in (DisputeCallTable, DisputeStatementTable, DisputeRecordingTable, DisputeGuestTable):
        table.delete().where(table.dispute_id.in_(ids)).execute()
    append(tenant, DISPUTES_ERASED, body, now, entropy)
