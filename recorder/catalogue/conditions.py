"""What holds for the catalogue as a whole, and the list that a rebuild works off.

After a rebuild nothing expires until the holds are confirmed (P8): a hold that the bucket lost would be
a recording destroyed that somebody still needs.
"""

from __future__ import annotations

from datetime import datetime

from peewee import TextField

from recorder.catalogue.database import DataField, MomentField, Row, connected


class Condition(Row):
    """Something that is so since a time, by its name."""

    name = TextField(primary_key=True)
    said = DataField()
    since = MomentField()

    class Meta:
        table_name = "catalogue_condition"


class Place(Row):
    """A place in the bucket that a rebuild has seen: ``names`` of the objects there, what became of it,
    and what is wrong with it."""

    place = TextField(primary_key=True)
    names = DataField()
    recording_id = TextField(index=True)
    outcome = TextField(index=True, null=True)
    code = TextField(null=True)
    message = TextField(null=True)

    class Meta:
        table_name = "rebuild_place"


HOLDS_UNCONFIRMED = "holds_unconfirmed"


def holds_unconfirmed() -> datetime | None:
    """Since when nothing expires because somebody has yet to confirm the holds; ``None`` where that is
    done or there was no rebuild."""
    with connected():
        row = Condition.get_or_none(Condition.name == HOLDS_UNCONFIRMED)
    return None if row is None else row.since


def wait_for_holds(because: str, now: datetime) -> None:
    """Nothing expires from now on until the holds are confirmed.  Inside the caller's transaction."""
    if not Condition.select().where(Condition.name == HOLDS_UNCONFIRMED).exists():
        Condition.create(name=HOLDS_UNCONFIRMED, said={"because": because}, since=now)


def end(name: str) -> bool:
    """Something is so no more; false where it was not.  Inside the caller's transaction."""
    return bool(Condition.delete().where(Condition.name == name).execute())
