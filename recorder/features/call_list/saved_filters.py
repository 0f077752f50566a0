"""The filters that people save for themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from peewee import IntegrityError

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.saved_filter import SavedFilterTable
from recorder.ids import Entropy, uuid7

LONGEST_NAME = 40
MOST: Final = 20
"""Filters of one user."""

SAVED = "saved"
NAME_MISSING = "name_missing"
NAME_TAKEN = "name_taken"
TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A saved filter: ``arguments`` are query arguments of the call list."""

    id: str
    name: str
    arguments: Mapping[str, str]


def saved_filters(tenant: str, user: str) -> tuple[SavedFilter, ...]:
    """A user's filters, by name."""
    with connected():
        query = SavedFilterTable.select().where(_own(tenant, user)).order_by(SavedFilterTable.name)
        return tuple(SavedFilter(row.id, row.name, row.arguments) for row in query)


def save_filter(
    tenant: str, user: str, name: str, arguments: Mapping[str, str], *, now: datetime, entropy: Entropy
) -> str:
    """Save a filter under a name. Returns :data:`SAVED`, or why it was not saved."""
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        return NAME_MISSING
    try:
        with writing():
            if SavedFilterTable.select().where(_own(tenant, user)).count() >= MOST:
                return TOO_MANY
            SavedFilterTable.create(
                id=str(uuid7(now, entropy)),
                tenant_id=tenant,
                user=user,
                name=name,
                arguments=dict(arguments),
                created_at=now,
            )
    except IntegrityError:
        return NAME_TAKEN
    return SAVED


def drop_filter(tenant: str, user: str, identity: str) -> bool:
    """Drop a filter of a user; false if they have none with this id."""
    with writing():
        mine = _own(tenant, user) & (SavedFilterTable.id == identity)
        return bool(SavedFilterTable.delete().where(mine).execute())


def _own(tenant: str, user: str) -> Any:
    return (SavedFilterTable.tenant_id == tenant) & (SavedFilterTable.user == user)
