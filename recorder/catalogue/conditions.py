"""What holds for the catalogue as a whole, and the list that a rebuild works off.

After a rebuild nothing expires until the holds are confirmed (P8): a hold that the bucket lost would be
a recording destroyed that somebody still needs.
"""

from __future__ import annotations

from datetime import datetime

from peewee import TextField

from recorder.catalogue.database import DataField, MomentField, Row, connected, database
from recorder.clock import from_iso


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


HOLDS_AWAITED = "holds.awaited"
HOLDS_CONFIRMED = "holds.confirmed"
"""Kinds of leaves between which nothing expires: no row is needed for that, and none ends it."""

_LAST_OF_EACH = f"""
SELECT kind, at FROM ledger_entry AS last
WHERE kind IN ('{HOLDS_AWAITED}', '{HOLDS_CONFIRMED}') AND number = (
  SELECT MAX(number) FROM ledger_entry AS other
  WHERE other.tenant_id = last.tenant_id AND kind IN ('{HOLDS_AWAITED}', '{HOLDS_CONFIRMED}'))
"""  # noqa: S608, kinds of ours


def holds_unconfirmed() -> datetime | None:
    """Since when nothing expires because somebody has yet to confirm the holds; ``None`` where that is
    done or there was no rebuild.  By the customers' logs: where the last that any of them says is that they
    are awaited."""
    with connected():
        rows = database.execute_sql(_LAST_OF_EACH).fetchall()
    return min((from_iso(at) for kind, at in rows if kind == HOLDS_AWAITED), default=None)


def end(name: str) -> bool:
    """Something is so no more; false where it was not.  Inside the caller's transaction."""
    return bool(Condition.delete().where(Condition.name == name).execute())
