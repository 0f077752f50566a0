"""Counters of the changes that nodes follow."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import Table


class ChangeCounterTable(Table):
    """A counter of changes; ``lines`` counts those to the content of the configuration snapshot."""

    name = TextField(primary_key=True)
    number = IntegerField()

    class Meta:
        table_name = "change_counter"
