"""Counters of the changes that nodes follow."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import Table


class ChangeCounterTable(Table):
    """A counter of changes; ``lines`` counts those to the content of the configuration snapshot, and
    ``lines/<tenant>`` is what it was after the tenant's last one."""

    not_compared = (
        ("name number", "triggers the writing of a node's snapshot, which is written within the hour anyway"),
    )

    name = TextField(primary_key=True)
    number = IntegerField(index=True)

    class Meta:
        table_name = "change_counter"
