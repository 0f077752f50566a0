"""Whether a customer lets people open their own calls, for how long a code works, and whether they see the
names of who listened. It is off until the customer switches it on.

The customer's log says so, not a row; and what a code shows is signed with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.errors import OwnCallError
from recorder.features.own_call.rules import LONGEST_DAYS, SHORTEST_DAYS, USUAL_DAYS
from recorder.ids import Entropy
from recorder.seal.amendment import By

CHANGED: Final = "own_call.set_up"


@dataclass(frozen=True, slots=True)
class OwnCallRule:
    """A customer's choice; ``by`` is the id of the user who made it, ``at`` when (UTC), if anybody did."""

    on: bool = False
    days: int = USUAL_DAYS
    names: bool = False
    by: str = ""
    at: datetime | None = None


def rule_of(tenant: str) -> OwnCallRule:
    """A customer's setting, according to the log."""
    leaves = leaf_lookup.find_permissions(tenant, CHANGED)
    if not leaves:
        return OwnCallRule()
    body = leaves[-1].body
    return OwnCallRule(
        bool(body["own_call"]), int(body["own_call_days"]), bool(body["own_call_names"]),
        str(body["actor"]), leaves[-1].at,
    )  # fmt: skip


def change_rule(
    tenant: str, *, on: bool, days: int, names: bool, by: By, now: datetime, entropy: Entropy
) -> bool:
    """Change a customer's setting; false if nothing changes. Codes that were given keep what was signed with
    them; while it is off, none opens anything. Raises :class:`OwnCallError` (``own_call.days``)."""
    if not SHORTEST_DAYS <= days <= LONGEST_DAYS:
        raise OwnCallError(
            "own_call.days", f"a code cannot work for {days} days", f"{SHORTEST_DAYS} to {LONGEST_DAYS} days"
        )
    with tenant_lock(tenant):
        before = rule_of(tenant)
        if (before.on, before.days, before.names) == (on, days, names):
            return False
        body = {"own_call": on, "own_call_days": days, "own_call_names": names}
        append(tenant, CHANGED, {**body, "by": by.kind, "actor": by.id or ""}, now, entropy)
    return True
