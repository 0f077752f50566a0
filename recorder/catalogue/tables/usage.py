"""Recorded calls by day and line, counted once the day is over."""

from __future__ import annotations

from peewee import BigIntegerField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import DataField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class UsageTable(Table):
    """What was recorded on a ``day`` (a date in ``time_zone``, the customer's when it was counted), and never
    changed afterwards: what was stored too late for a day's first row (``part`` 1) is in a further one.

    ``lines`` are lists of a line's id, its number, calls, milliseconds and bytes; ``calls``, ``duration_ms``
    and ``bytes`` are their sums. The row was written in a count up to ``until``, of the recordings in the
    first ``through`` leaves of the log."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT", index=False)
    day = TextField()
    part = IntegerField()
    time_zone = TextField()
    lines = DataField()
    calls = IntegerField()
    duration_ms = BigIntegerField()
    bytes = BigIntegerField()
    until = MomentField()
    through = BigIntegerField()
    counted_at = MomentField()

    tenant_id: str

    class Meta:
        table_name = "usage_day"
        indexes = ((("tenant", "day", "part"), True), (("tenant", "through"), False))
