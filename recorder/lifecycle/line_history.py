"""Who owned a number at a given time, by rows and audit log together; and ending a line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.database import connected
from recorder.catalogue.tables.line import LineDraftTable, LineTable
from recorder.domain.line_policy import OFF
from recorder.ids import Entropy

CREATED = "line.created"
CHANGED = "line.changed"
ENDED = "line.ended"


def has_ended(line_id: str | None, at: datetime) -> bool:
    """Whether a line, of any customer, had ended by a time. False for an unknown line, and where only the row
    says that it ended and its customer's log does not."""
    with connected():
        row = (
            None
            if line_id is None
            else LineTable.get_or_none((LineTable.id == line_id) & (LineTable.until <= at))
        )
        if row is None:
            return False
        leaves = [
            leaf
            for leaf in leaf_lookup.find_decisions(row.tenant_id, [ENDED])
            if leaf.body.get("line") == line_id
        ]
        return any(leaf.at <= at for leaf in leaves)


def owner_of(number: str, at: datetime) -> tuple[str | None, str | None]:
    """The ids of the customer and the line that a number belonged to at a time; two times ``None`` if it
    belonged to nobody."""
    condition = (LineTable.digits == number.removeprefix("+")) & (LineTable.since <= at)
    with connected():
        row = LineTable.get_or_none(condition & (LineTable.until.is_null() | (LineTable.until > at)))
    return (None, None) if row is None else (row.tenant_id, row.id)


def lines_in(leaves: Iterable[LoggedLeaf]) -> frozenset[tuple[str, str]]:
    """The lines (id and number) that their customer's leaves, of whatever kinds, say were created and do not
    say ended."""
    creations: dict[str, str] = {}
    for leaf in leaves:
        line = str(leaf.body.get("line"))
        if leaf.kind == CREATED:
            creations[line] = str(leaf.body.get("number"))
        elif leaf.kind == ENDED:
            creations.pop(line, None)
    return frozenset(creations.items())


def lines_off_in(leaves: Iterable[LoggedLeaf]) -> frozenset[str]:
    """The ids of the lines that are not recorded, by the same leaves."""
    modes: dict[str, object] = {}
    for leaf in leaves:
        if leaf.kind in (CREATED, CHANGED) and "mode" in leaf.body:
            modes[str(leaf.body.get("line"))] = leaf.body["mode"]
    return frozenset(line for line, mode in modes.items() if mode == OFF)


def active_line(tenant: str, line_id: str) -> Any:
    """The condition for the row of a tenant's line that has not ended."""
    return (LineTable.tenant == tenant) & (LineTable.id == line_id) & LineTable.until.is_null()


def end_line(tenant: str, line_id: str, *, now: datetime, entropy: Entropy) -> bool:
    """Stop recording a number and release it for any customer; its recordings keep their owner. False if the
    tenant has no such line."""
    with tenant_lock(tenant):
        changed = LineTable.update(until=now).where(active_line(tenant, line_id)).execute()
        if changed:
            LineDraftTable.delete().where(LineDraftTable.line == line_id).execute()
            append(tenant, ENDED, {"line": line_id}, now, entropy)
            increment(LINES, tenant)
    return bool(changed)
