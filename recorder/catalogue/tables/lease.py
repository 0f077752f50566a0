"""Claims: several workers with one catalogue do not all do the same thing.

A claim is a conditional UPDATE with an end, so two cannot have it, and one that died holds up nothing for
longer than :data:`LASTS`.  It saves work and decides nothing: whatever is claimed can be done twice without
harm, because no clock is above doubt.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from peewee import TextField

from recorder.catalogue.database import MomentField, Table, writing

LASTS = timedelta(minutes=5)
"""How long a claim holds others off, where it is not given back."""


class LeaseTable(Table):
    """Something that ``owner`` (a worker, for as long as it runs) is at until a time."""

    name = TextField(primary_key=True)
    owner = TextField()
    until = MomentField(index=True)

    class Meta:
        table_name = "lease"


def take(name: str, owner: str, now: datetime) -> bool:
    """Claim something for :data:`LASTS` from now; false where another worker is at it.

    Clocks of nodes differ by a little.  A claim that ends much later than one taken now would is one of a
    clock that had jumped ahead, and counts as over.
    """
    until = now + LASTS
    over = (LeaseTable.until <= now) | (LeaseTable.until > until + LASTS) | (LeaseTable.owner == owner)
    with writing():
        if LeaseTable.update(owner=owner, until=until).where((LeaseTable.name == name) & over).execute():
            return True
        LeaseTable.insert(name=name, owner=owner, until=until).on_conflict_ignore().execute()
        # The row is ours, or another's that came first: the condition tells.
        return bool(
            LeaseTable.update(until=until)
            .where((LeaseTable.name == name) & (LeaseTable.owner == owner))
            .execute()
        )


def give_back(name: str, owner: str) -> None:
    """Done, or not to be done now: anybody may claim it."""
    with writing():
        LeaseTable.delete().where((LeaseTable.name == name) & (LeaseTable.owner == owner)).execute()


def drop_old(before: datetime) -> int:
    """Forget claims that ended before a time, of workers that are gone; how many."""
    with writing():
        return int(LeaseTable.delete().where(LeaseTable.until < before).execute())
