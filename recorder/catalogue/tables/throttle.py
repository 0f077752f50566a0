"""The table of attempts that are counted against guessing."""

from __future__ import annotations

from peewee import BigIntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, Table


class ThrottleTable(Table):
    """``empty_ms``: when all that was poured in will have leaked out, in milliseconds since 1970.
    ``known_until``: until when a place counts as known."""

    key = TextField(primary_key=True)
    empty_ms = BigIntegerField(index=True)
    known_until = MaybeMomentField(null=True)

    class Meta:
        table_name = "throttle"
