"""Roles of the people who log in: a customer's own people, and the provider's."""

from __future__ import annotations

from typing import Final

PROVIDER: Final = "00000000-0000-7000-8000-000000000000"
"""The id of the tenant that the provider's own people belong to, with a log like a customer's. It is no
customer: it has no lines and no calls."""

ADMIN: Final = "customer_admin"
"""Sets up lines, announcements and users as well, and decides on retention, grants and erasure."""

DOWNLOADERS: Final = frozenset({ADMIN})
"""Roles that may download a recording; a colleague may where an admin allows it. A file leaves the gate for
good, so it takes more than listening."""

CUSTOMER: Final = "customer"

AUDITOR: Final = "auditor"
"""Reads lists and the log."""

ROLES: Final = (ADMIN, CUSTOMER, AUDITOR)
"""Roles of a customer's people, their sessions, and API tokens."""

OPERATOR: Final = "operator"
"""Sees which customers there are and what they use, and invites new ones; never a call."""

SUPPORT: Final = "support"
"""Sees the differences that a customer admits the provider to, and nothing else."""

PROVIDER_ROLES: Final = (OPERATOR, SUPPORT)
"""Roles of the provider's people."""


def roles_of(tenant: str) -> tuple[str, ...]:
    """The roles that a tenant's people can have."""
    return PROVIDER_ROLES if tenant == PROVIDER else ROLES
