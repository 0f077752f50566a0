"""Customers."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import DataField, MomentField, Table


class TenantTable(Table):
    id = TextField(primary_key=True)
    name = TextField()
    language = TextField()
    languages = DataField()
    time_zone = TextField()
    plan = TextField()
    country = TextField()
    wrapped_key = TextField()
    log_size = BigIntegerField(default=0)
    log_epoch = IntegerField(default=1, constraints=[SQL("DEFAULT 1")])
    created_at = MomentField()

    class Meta:
        table_name = "tenant"
