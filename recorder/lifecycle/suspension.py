"""Numbers that the provider has suspended, one or all of a customer's: their calls go on, unannounced and
unrecorded, until the provider resumes them. Recordings stay, and can be heard.

The customer's log says so, not a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.tables.line import LineTable
from recorder.domain import names
from recorder.ids import Entropy
from recorder.lifecycle.line_history import active_line
from recorder.verified_state import VerifiedState

TENANT_SUSPENDED: Final = "tenant.suspended"
TENANT_RESUMED: Final = "tenant.resumed"
LINE_SUSPENDED: Final = "line.suspended"
LINE_RESUMED: Final = "line.resumed"
KINDS: Final = (TENANT_SUSPENDED, TENANT_RESUMED, LINE_SUSPENDED, LINE_RESUMED)

LONGEST_REASON: Final = 200
"""Characters of a reason."""


@dataclass(frozen=True, slots=True)
class Suspension(VerifiedState):
    """That a customer's calls are not recorded since a time, according to the log: those of one ``line``, or
    of all (``None``). The customer may read the ``reason``."""

    tenant: str
    line: str | None
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Suspensions:
    """What is suspended of a customer now: everything (``tenant``), and lines by their id."""

    tenant: Suspension | None
    lines: Mapping[str, Suspension]

    def of(self, line_id: str) -> Suspension | None:
        """Why a line is not recorded, if it is suspended."""
        return self.tenant or self.lines.get(line_id)


def suspensions_in(tenant: str, leaves: Iterable[LoggedLeaf]) -> Suspensions:
    """What is suspended by a customer's leaves, of whatever kinds, in order."""
    found: dict[str | None, Suspension] = {}
    for leaf in leaves:
        line = str(leaf.body["line"]) if leaf.kind in (LINE_SUSPENDED, LINE_RESUMED) else None
        if leaf.kind in (TENANT_SUSPENDED, LINE_SUSPENDED):
            found[line] = Suspension(tenant, line, leaf.at, str(leaf.body["reason"]))
        elif leaf.kind in (TENANT_RESUMED, LINE_RESUMED):
            found.pop(line, None)
    return Suspensions(found.get(None), {line: one for line, one in found.items() if line is not None})


def find_suspensions(tenant: str) -> Suspensions:
    """What is suspended of a customer now."""
    return suspensions_in(tenant, leaf_lookup.find_permissions(tenant, *KINDS))


def suspend(tenant: str, line_id: str | None = None, *, reason: str, now: datetime, entropy: Entropy) -> bool:
    """Stop announcing and recording one line of a customer, or all (``None``), for the provider: from the
    next call on, as soon as the nodes have read it. False if it was suspended, or there is no such line.
    Raises :class:`CatalogueError` (``tenant.unknown``, ``suspension.reason``)."""
    reason = names.tidy(reason, "the reason", "suspension.reason", longest=LONGEST_REASON)
    with tenant_lock(tenant):
        if line_id is not None and not _is_active(tenant, line_id):
            return False
        found = find_suspensions(tenant)
        if found.tenant if line_id is None else found.lines.get(line_id):
            return False
        _append(tenant, line_id, TENANT_SUSPENDED, LINE_SUSPENDED, {"reason": reason}, now, entropy)
    return True


def resume(tenant: str, line_id: str | None = None, *, now: datetime, entropy: Entropy) -> bool:
    """Announce and record again what was suspended, as it is set up. A line stays suspended while its
    customer is. False if it was not suspended."""
    with tenant_lock(tenant):
        found = find_suspensions(tenant)
        if not (found.tenant if line_id is None else found.lines.get(line_id)):
            return False
        _append(tenant, line_id, TENANT_RESUMED, LINE_RESUMED, {}, now, entropy)
    return True


def _is_active(tenant: str, line_id: str) -> bool:
    return bool(LineTable.select().where(active_line(tenant, line_id)).exists())


def _append(
    tenant: str,
    line_id: str | None,
    of_tenant: str,
    of_line: str,
    details: Mapping[str, str],
    now: datetime,
    entropy: Entropy,
) -> None:
    """Inside the caller's transaction."""
    kind, about = (of_tenant, {"tenant": tenant}) if line_id is None else (of_line, {"line": line_id})
    append(tenant, kind, {**about, **details, "actor": "operator"}, now, entropy)
    increment(LINES, tenant)
