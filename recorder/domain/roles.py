"""Roles: of the people who log in (a customer's own, and the provider's), and of guests, who do not."""

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
"""Sees the disputes that a customer admits the provider to, and nothing else."""

PROVIDER_ROLES: Final = (OPERATOR, SUPPORT)
"""Roles of the provider's people."""

OWN_SIDE: Final = "customer"
"""The side of a call that is the customer's; the other one's is their role."""

EXTERNAL_PARTY: Final = "external_party"
"""The person who was recorded, invited by the customer to listen together: hears the recordings of one
dispute, in its room alone."""

NEUTRAL: Final = "neutral"
"""Somebody whom both sides trust, invited by the customer: hears the passages that both sides agreed to."""

GUESTS: Final = (EXTERNAL_PARTY, NEUTRAL)
"""Roles of people who take part in one dispute. They have no account: a link and a session, no password."""

THIRD_PARTIES: Final = (SUPPORT, NEUTRAL)
"""Roles of those who were not in the call. They hear the passages that both sides agreed to let them hear."""

ADMITTED: Final = frozenset({*GUESTS, *THIRD_PARTIES})
"""Roles that hear only what a dispute admits them to."""


def roles_of(tenant: str) -> tuple[str, ...]:
    """The roles that a tenant's people can have."""
    return PROVIDER_ROLES if tenant == PROVIDER else ROLES


def signed_roles_of(tenant: str) -> tuple[str, ...]:
    """The roles that a signed credential of a tenant can name: its people's, and its guests'."""
    return PROVIDER_ROLES if tenant == PROVIDER else (*ROLES, *GUESTS)
