"""Drops disputes: their statements, with what people wrote in them, and the bodies of their leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recorder.auditlog.append import append
from recorder.auditlog.leaf_erasure import DisputeErasure, drop_bodies
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeNewsTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
    RoomCodeTable,
)
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.ids import Entropy
from recorder.lifecycle.statements import DISPUTES_ERASED


def dispute_ids(tenant: str) -> frozenset[str]:
    """The ids of a customer's disputes."""
    rows = DisputeStatementTable.select(DisputeStatementTable.dispute_id)
    return frozenset(row.dispute_id for row in rows.where(DisputeStatementTable.tenant_id == tenant))


def disputed_recordings(tenant: str) -> frozenset[str]:
    """The ids of the recordings that rows say a customer's disputes are about."""
    rows = DisputeRecordingTable.select(DisputeRecordingTable.recording_id)
    return frozenset(row.recording_id for row in rows.where(DisputeRecordingTable.tenant_id == tenant))


def drop_disputes(erasure: DisputeErasure, now: datetime, entropy: Entropy) -> None:
    """Inside the transaction of an erasure: drop the disputes, and the names of their guests, whose access
    has ended."""
    erasure.locked.check()
    tenant, ids = erasure.locked.tenant, erasure.objects
    if not ids:
        return
    body = {
        "disputes": len(ids), "dispute_ids": list(ids), "leaves": drop_bodies(erasure),
        "recording_ids": list(erasure.recordings),
    }  # fmt: skip
    guests = DisputeGuestTable.select(DisputeGuestTable.id).where(_of(DisputeGuestTable, erasure))
    UserTable.update(name="", password_hash="", credential=None).where(
        (UserTable.tenant == tenant) & UserTable.id.in_(guests) & UserTable.revoked_at.is_null(False)
    ).execute()
    DisputeTable.delete().where((DisputeTable.tenant_id == tenant) & DisputeTable.id.in_(ids)).execute()
    for table in (
        VerificationCallTable, DisputeStatementTable, DisputeRecordingTable, DisputeGuestTable,
        RoomCodeTable, DisputeNewsTable,
    ):  # fmt: skip
        table.delete().where(_of(table, erasure)).execute()
    append(tenant, DISPUTES_ERASED, body, now, entropy)


def _of(table: Any, erasure: DisputeErasure) -> Any:
    """The condition on a table's rows that they are of the erased disputes."""
    return (table.tenant_id == erasure.locked.tenant) & table.dispute_id.in_(erasure.objects)
