"""The progress of a rebuild, and its queue."""

from __future__ import annotations

from peewee import TextField

from recorder.catalogue.database import WORK_QUEUE, DataField, MomentField, Table


class GlobalStateTable(Table):
    """A condition of the whole catalogue, by its name, and the time when it began."""

    not_copied = "what holds for this catalogue"
    not_compared = (("data since", "progress of a rebuild, which reads skipped places when it is run again"),)

    name = TextField(primary_key=True)
    data = DataField()
    since = MomentField()

    class Meta:
        table_name = "global_state"


class QueuedPlaceTable(Table):
    """A recording's prefix in the bucket, found by a rebuild: the ``names`` of its objects, the outcome, and
    the error, if any."""

    not_copied = "a rebuild's list"
    not_compared = (("place names recording_id outcome code message", WORK_QUEUE),)

    place = TextField(primary_key=True)
    names = DataField()
    recording_id = TextField(index=True)
    outcome = TextField(index=True, null=True)
    code = TextField(null=True)
    message = TextField(null=True)

    class Meta:
        table_name = "rebuild_queue"


def clear_state(name: str) -> bool:
    """End a condition, inside the caller's transaction; false if it did not apply."""
    return bool(GlobalStateTable.delete().where(GlobalStateTable.name == name).execute())
