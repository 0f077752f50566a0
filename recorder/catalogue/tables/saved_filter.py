"""Filters of the call list that people save."""

from __future__ import annotations

from peewee import ForeignKeyField, TextField

from recorder.catalogue.database import DataField, MomentField, Table
from recorder.catalogue.tables.identity import UserTable


class SavedFilterTable(Table):
    """A user's saved filter; ``arguments`` are query arguments of the call list, by name. What was typed into
    the search field is never saved: a number would survive the erasure of its calls."""

    offboarding = "deleted"

    not_compared = (
        (
            "id tenant_id user_id name arguments created_at",
            "a person's own choice of query arguments; it selects among what they may see anyway",
        ),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField()
    user = ForeignKeyField(UserTable, column_name="user_id", on_delete="RESTRICT")
    name = TextField()
    arguments = DataField()
    created_at = MomentField()

    user_id: str

    class Meta:
        table_name = "saved_filter"
        indexes = ((("user", "name"), True),)
