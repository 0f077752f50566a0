"""Erases names that a customer's people gave numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from recorder.auditlog.append import LockedTenant, append
from recorder.catalogue.tables.contact import ContactTable
from recorder.ids import Entropy

DELETED: Final = "contact.deleted"


def erase_contact(
    locked: LockedTenant, number: str, user: str, *, request: str = "", now: datetime, entropy: Entropy
) -> bool:
    """Erase the name of a number of the locked customer's: number, name and salt go, so that nothing can be
    learned from the log's leaves about it. ``request`` is the person's, if they asked. Returns false if it
    has no name. Raises ``RuntimeError`` once the transaction has ended."""
    locked.check()
    mine = (ContactTable.tenant == locked.tenant) & (ContactTable.number == number)
    row = ContactTable.get_or_none(mine)
    if row is None:
        return False
    empty = {"number": None, "name": "", "salt": None, "deleted_at": now, "deleted_by": user}
    ContactTable.update(empty).where(ContactTable.id == row.id).execute()
    body = {"contact": row.id, "user": user} | ({"request": request} if request else {})
    append(locked.tenant, DELETED, body, now, entropy)
    return True
