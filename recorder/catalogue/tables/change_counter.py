"""Counters that tell nodes of changes."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import Table


class ChangeCounterTable(Table):
    """Counts changes that a node must hear of; ``lines`` is what the snapshot is made of."""

    name = TextField(primary_key=True)
    number = IntegerField()

    class Meta:
        table_name = "change_counter"
