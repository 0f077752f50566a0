"""Counts the changes that a node's configuration snapshot must follow, and says whose they were."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from recorder.catalogue.database import connected, current_batch, read_once
from recorder.catalogue.tables.change_counter import ChangeCounterTable

LINES = "lines"
"""Counts changes to lines, announcements and tenants."""

_ATTRIBUTED = " of tenants"
"""Ends the name of the counter of changes whose tenant is known."""


def increment(name: str, tenant: str = "") -> None:
    """Count a change, of a ``tenant``'s if there is one, inside the caller's transaction; the changes of a
    batch count once, at its end, so that others wait no longer than for that."""
    if (batch := current_batch()) is None:
        _write(name, {tenant})
        return
    tenants: set[str] = read_once("changes", name, set)
    tenants.add(tenant)
    batch.finish[f"counter {name}"] = partial(_write, name, tenants)


def _write(name: str, tenants: Collection[str]) -> None:
    counter = ChangeCounterTable.insert(name=name, number=1)
    more = {ChangeCounterTable.number: ChangeCounterTable.number + 1}
    counter.on_conflict(conflict_target=[ChangeCounterTable.name], update=more).execute()
    number = revision(name)
    rows = [{"name": f"{name}/{tenant}", "number": number} for tenant in sorted(tenants) if tenant]
    if rows:
        attributed = ChangeCounterTable.insert(name=name + _ATTRIBUTED, number=1)
        attributed.on_conflict(conflict_target=[ChangeCounterTable.name], update=more).execute()
        changes = ChangeCounterTable.insert_many(rows)
        changes.on_conflict(
            conflict_target=[ChangeCounterTable.name], preserve=[ChangeCounterTable.number]
        ).execute()


def changed_tenants(name: str, since: int) -> frozenset[str]:
    """The tenants with a change after the revision ``since``."""
    beginning = f"{name}/"
    own = ChangeCounterTable.name.startswith(beginning) & (ChangeCounterTable.number > since)
    with connected():
        return frozenset(row.name.removeprefix(beginning) for row in ChangeCounterTable.select().where(own))


def unattributed(name: str) -> int:
    """The number of changes of which nobody said whose they were: those of a version that does not say it, on
    a node or panel that is upgraded later."""
    names = (name, name + _ATTRIBUTED)
    with connected():
        rows = ChangeCounterTable.select().where(ChangeCounterTable.name.in_(names))
        numbers = {row.name: int(row.number) for row in rows}
    return numbers.get(name, 0) - numbers.get(name + _ATTRIBUTED, 0)


def revision(name: str) -> int:
    """The number of changes so far; cheap enough to read every second."""
    with connected():
        row = ChangeCounterTable.get_or_none(ChangeCounterTable.name == name)
    return 0 if row is None else int(row.number)
