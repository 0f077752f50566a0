"""How far a rebuild is, and the list that it works off."""

from __future__ import annotations

from peewee import TextField

from recorder.catalogue.database import DataField, MomentField, Table


class GlobalStateTable(Table):
    """Something that is so since a time, by its name."""

    name = TextField(primary_key=True)
    data = DataField()
    since = MomentField()

    class Meta:
        table_name = "global_state"


class QueuedPlaceTable(Table):
    """A place in the bucket that a rebuild has seen: ``names`` of the objects there, what became of it,
    and what is wrong with it."""

    place = TextField(primary_key=True)
    names = DataField()
    recording_id = TextField(index=True)
    outcome = TextField(index=True, null=True)
    code = TextField(null=True)
    message = TextField(null=True)

    class Meta:
        table_name = "rebuild_queue"


def end(name: str) -> bool:
    """Something is so no more; false where it was not.  Inside the caller's transaction."""
    return bool(GlobalStateTable.delete().where(GlobalStateTable.name == name).execute())
