"""Leases, so that several workers with one catalogue do not do the same work.

A lease is a conditional UPDATE with an end: no two workers have it, and a dead worker delays others by
:data:`DURATION` at most. It saves work and decides nothing: clocks are not trusted, so leased work can be
done twice without harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from peewee import TextField

from recorder.catalogue.database import MomentField, Table, connected, writing

DURATION = timedelta(minutes=5)
"""The term of a lease that is not released."""


class LeaseTable(Table):
    """Work that ``owner`` (a running worker) does until a time."""

    not_copied = "of workers that run now"
    not_compared = (("name owner until", "saves work and decides nothing; it expires after five minutes"),)

    name = TextField(primary_key=True)
    owner = TextField()
    until = MomentField(index=True)

    class Meta:
        table_name = "lease"


def take(name: str, owner: str, now: datetime, duration: timedelta = DURATION) -> bool:
    """Take the lease on some work for a time, or take it again; false if another worker has it.

    The clocks of nodes differ slightly. A lease that ends much later than one taken now was taken by a clock
    that had jumped ahead, and counts as expired.
    """
    until = now + duration
    over = (LeaseTable.until <= now) | (LeaseTable.until > until + duration) | (LeaseTable.owner == owner)
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


def find_owner(name: str) -> str | None:
    """Who took the lease on some work last, unless it was released."""
    with connected():
        row = LeaseTable.get_or_none(LeaseTable.name == name)
    return None if row is None else str(row.owner)


@contextmanager
def turn(name: str, owner: str, now: datetime, duration: timedelta) -> Iterator[bool]:
    """Whether this worker does work that is repeated for all of them. It keeps the lease afterwards, so that
    the others need not do it again before ``duration`` is over. It gives the lease back if the work fails:
    another one may be able to do it."""
    has_lease = take(name, owner, now, duration)
    try:
        yield has_lease
    except BaseException:  # also where the worker is asked to end
        if has_lease:
            release(name, owner)
        raise


def release(name: str, owner: str) -> None:
    """Release a lease, so that any worker can take it."""
    with writing():
        LeaseTable.delete().where((LeaseTable.name == name) & (LeaseTable.owner == owner)).execute()


def delete_expired(before: datetime) -> int:
    """Delete leases that ended before a time; returns their number."""
    with writing():
        return int(LeaseTable.delete().where(LeaseTable.until < before).execute())
