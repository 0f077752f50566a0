"""What holds for the catalogue as a whole, and the list that a rebuild works off.

After a rebuild nothing expires until the holds are confirmed (P8): a hold that the bucket lost would be
a recording destroyed that somebody still needs.
"""

from __future__ import annotations

from peewee import TextField

from recorder.catalogue.database import DataField, MomentField, Row


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
