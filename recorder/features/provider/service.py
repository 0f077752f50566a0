"""What an operator sees of all customers: plan, state, and how many numbers and people they have. What is
seen of one of them is in :mod:`recorder.features.provider.customer_facts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from recorder.catalogue.database import connected
from recorder.catalogue.offboarding_progress import find_offboarding
from recorder.catalogue.records import TenantRow
from recorder.features.provider import queries
from recorder.lifecycle.plans import plan_code
from recorder.lifecycle.suspension import find_suspensions

CustomerState = Literal["active", "suspended", "invited", "empty", "leaving", "left"]

ACTIVE: Final[CustomerState] = "active"
SUSPENDED: Final[CustomerState] = "suspended"
INVITED: Final[CustomerState] = "invited"
EMPTY: Final[CustomerState] = "empty"
LEAVING: Final[CustomerState] = "leaving"
LEFT: Final[CustomerState] = "left"


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with the code of its plan. It is ``invited`` while nobody has accepted an invitation, and
    ``empty`` if nobody has access and nobody is invited. ``at`` is the day of a departure, planned or done
    (``leaving``, ``left``), or since when the provider has ``suspended`` it."""

    tenant: TenantRow
    plan: str
    lines: int
    users: int
    state: CustomerState
    at: datetime | None = None


def count_all() -> tuple[int, int]:
    """How many customers there are, without those that have left, and how many numbers they have."""
    with connected():
        return queries.count_current_customers(), queries.count_current_lines()


def list_customers(after: str, limit: int) -> list[Customer]:
    """Customers by name, at most ``limit``, after the one with the id ``after`` (empty: from the
    beginning)."""
    with connected():
        return _customers(queries.customers_after(after, limit))


def find_customers(text: str, limit: int) -> list[Customer]:
    """Customers with that id or number, or with the text in their name; at most ``limit``, by name."""
    with connected():
        return _customers(queries.customers_matching(text, limit))


def describe_customer(row: TenantRow) -> Customer:
    """One customer."""
    with connected():
        return _customers([row])[0]


def _customers(rows: Sequence[TenantRow]) -> list[Customer]:
    ids = [row.id for row in rows]
    lines, users = queries.count_lines(ids), queries.count_users(ids)
    invitations = queries.count_invitations(ids)
    return [
        Customer(
            row, plan_code(row.id), lines.get(row.id, 0), users.get(row.id, 0),
            *_state(row.id, users.get(row.id, 0), invitations.get(row.id, 0)),
        )
        for row in rows
    ]  # fmt: skip


def find_invitation(tenant: str) -> tuple[str, str] | None:
    """The id and the name of the invitation that opens a customer's panel, if nobody ever had access to it,
    and the customer is not leaving; else ``None``: afterwards, people are the customer's own affair."""
    with connected():
        if queries.has_had_users(tenant) or find_offboarding(tenant) is not None:
            return None
        return queries.first_invitation(tenant)


def _state(tenant: str, users: int, invitations: int) -> tuple[CustomerState, datetime | None]:
    departure = find_offboarding(tenant)
    if departure is not None and departure.offboarded_at is not None:
        return LEFT, departure.offboarded_at
    if departure is not None:
        return LEAVING, departure.until
    suspension = find_suspensions(tenant).tenant
    if suspension is not None:
        return SUSPENDED, suspension.since
    if users:
        return ACTIVE, None
    return (INVITED if invitations else EMPTY), None
