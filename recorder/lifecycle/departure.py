"""Records a customer's departure in row and log, and ends the customer's lines.

Signed statements in the bucket decide (:mod:`recorder.seal.offboarding`); the row is an index to them.
"""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.clock import to_iso
from recorder.ids import Entropy
from recorder.lifecycle.line_history import end_line
from recorder.seal.offboarding import Cancellation, Departure, OffboardingReceipt

LEAVES = "tenant.offboarding_announced"
STAYS = "tenant.offboarding_cancelled"


def note_departure(departure: Departure | OffboardingReceipt, *, now: datetime, entropy: Entropy) -> int:
    """Record that a customer leaves, by the statement in force or, without one, the receipt, and end its
    lines; returns how many ended. An earlier row is dropped together with its handover, which no signed
    statement covers. Raises :class:`recorder.errors.CatalogueError` (``tenant.unknown``)."""
    tenant = departure.tenant
    until = departure.until if isinstance(departure, Departure) else departure.at
    with tenant_lock(tenant):
        drop_departure(departure)
        OffboardingTable.insert(tenant_id=tenant, announced_at=departure.announced_at, until=until).execute()
        append(tenant, LEAVES, {"until": to_iso(until), "statement": departure.sha256}, now, entropy)
        return end_lines(departure, now, entropy)


def last_cancellation(tenant: str) -> str | None:
    """The SHA-256 of the last statement that cancelled a customer's departure, according to the log."""
    leaves = leaf_lookup.leaves_after(tenant, -1, STAYS)
    return str(leaves[-1].body.get("statement")) if leaves else None


def drop_departure(departure: Departure | Cancellation | OffboardingReceipt) -> None:
    """Inside the caller's transaction: drop the row of a customer's departure and its handover, which a
    statement ends or replaces."""
    tenant = departure.tenant
    HandedRecordingTable.delete().where(HandedRecordingTable.tenant_id == tenant).execute()
    OffboardingTable.delete().where(OffboardingTable.tenant_id == tenant).execute()


def end_lines(departure: Departure | OffboardingReceipt, now: datetime, entropy: Entropy) -> int:
    """Inside the caller's transaction: end the lines of a customer who leaves; returns how many ended."""
    tenant = departure.tenant
    open_lines = list(
        LineTable.select(LineTable.id).where((LineTable.tenant == tenant) & LineTable.until.is_null())
    )
    for line in open_lines:
        end_line(tenant, line.id, now=now, entropy=entropy)
    return len(open_lines)
