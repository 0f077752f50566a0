"""Leases, so that several workers with one catalogue do not do the same work.

A lease is a conditional UPDATE with an end: no two workers have it, and a dead worker delays others by
:data:`DURATION` at most. It saves work and decides nothing: clocks are not trusted, so leased work can be
done twice without harm.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from peewee import TextField

from recorder.catalogue.database import MomentField, Table, writing

DURATION = timedelta(minutes=5)
"""The term of a lease that is not released."""


class LeaseTable(Table):
    """Work that ``owner`` (a running worker) does until a time."""

    name = TextField(primary_key=True)
    owner = TextField()
    until = MomentField(index=True)

    class Meta:
        table_name = "lease"


def take(name: str, owner: str, now: datetime) -> bool:
    """Take the lease on some work for :data:`DURATION`; false if another worker has it.

    The clocks of nodes differ slightly. A lease that ends much later than one taken now was taken by a clock
    that had jumped ahead, and counts as expired.
    """
    until = now + DURATION
    over = (LeaseTable.until <= now) | (LeaseTable.until > until + DURATION) | (LeaseTable.owner == owner)
    with writing():
        if LeaseTable.update(owner=owner, until=until).where((LeaseTable.name == name) & over).execute():
            return True
        LeaseTable.insert(name=name, owner=owner, until=until).on_conflict_ignore().execute()
        # Another worker may have inserted the row first.
        return bool(
            LeaseTable.update(until=until)
            .where((LeaseTable.name == name) & (LeaseTable.owner == owner))
            .execute()
        )


def release(name: str, owner: str) -> None:
    """Release a lease, so that any worker can take it."""
    with writing():
        LeaseTable.delete().where((LeaseTable.name == name) & (LeaseTable.owner == owner)).execute()


def delete_expired(before: datetime) -> int:
    """Delete leases that ended before a time; returns their number."""
    with writing():
        return int(LeaseTable.delete().where(LeaseTable.until < before).execute())
