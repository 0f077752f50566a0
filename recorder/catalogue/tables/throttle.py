"""Counts of attempts, against guessing."""

from __future__ import annotations

from peewee import BigIntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, Table


class ThrottleTable(Table):
    """A leaky bucket. ``empty_ms`` is the time when it will be empty, in milliseconds since 1970.
    ``known_until``: until when a device or network counts as known."""

    not_copied = "who must wait now"
    not_compared = (("key empty_ms known_until", "delays log-ins, and lets nobody in"),)

    key = TextField(primary_key=True)
    empty_ms = BigIntegerField(index=True)
    known_until = MaybeMomentField(null=True)

    class Meta:
        table_name = "throttle"
