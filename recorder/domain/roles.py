"""The roles of a customer's own people. Operators are the provider's people, and have none of these."""

from __future__ import annotations

from typing import Final

ADMIN: Final = "customer_admin"
"""Sets up lines, announcements and users as well, and decides on retention, grants and erasure."""

DOWNLOADERS: Final = frozenset({ADMIN})
"""Roles that may download a recording; a colleague may where an admin allows it. A file leaves the gate for
good, so it takes more than listening."""

CUSTOMER: Final = "customer"

AUDITOR: Final = "auditor"
"""Reads lists and the log."""

ROLES: Final = (ADMIN, CUSTOMER, AUDITOR)
