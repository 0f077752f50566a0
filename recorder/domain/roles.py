"""What a customer's own people may be.  Operators are the provider's people, and none of these."""

from __future__ import annotations

from typing import Final

ADMIN: Final = "customer_admin"
"""Sets up lines, announcements and users as well, and decides what is kept, given and erased."""

CUSTOMER: Final = "customer"

AUDITOR: Final = "auditor"
"""Reads lists and the log."""

ROLES: Final = (ADMIN, CUSTOMER, AUDITOR)
