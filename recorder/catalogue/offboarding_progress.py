"""Progress of a customer's offboarding, by its row.

The row decides nothing; signed statements do (:mod:`recorder.seal.offboarding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recorder.catalogue.database import connected
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.offboarding import OffboardingTable


@dataclass(frozen=True, slots=True)
class OffboardingRow:
    """A customer's offboarding; see :class:`recorder.catalogue.tables.offboarding.OffboardingTable`."""

    tenant: str
    announced_at: datetime
    until: datetime
    handover: str | None
    log_size: int
    handed_at: datetime | None
    layout: Mapping[str, Any]
    length: int
    erasing_since: datetime | None
    offboarded_at: datetime | None
    receipt: str | None


def find_offboarding(tenant: str) -> OffboardingRow | None:
    """A customer's offboarding; ``None`` if there is none."""
    with connected():
        row = OffboardingTable.get_or_none(OffboardingTable.tenant_id == tenant)
    return None if row is None else _row(row)


def _row(row: OffboardingTable) -> OffboardingRow:
    return read_value(
        OffboardingRow, row, log_size=row.log_size or 0, layout=row.layout or {}, length=row.length or 0
    )


def is_being_erased(tenant: str) -> bool:
    """Whether a customer's data are being erased, or were, by its row."""
    with connected():
        mine = (OffboardingTable.tenant_id == tenant) & OffboardingTable.erasing_since.is_null(False)
        return bool(OffboardingTable.select().where(mine).exists())
