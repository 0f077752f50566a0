"""Announcements, their sounds, and customers' own purposes."""

from __future__ import annotations

from peewee import SQL, BlobField, ForeignKeyField, IntegerField, TextField

from recorder.catalogue.database import DataField, MomentField, Table
from recorder.catalogue.tables.tenant import TenantTable


class SoundTable(Table):
    not_compared = (("created_at", "neither decides nor shows anything"),)

    sha256 = TextField(primary_key=True)
    wav = BlobField()
    duration_ms = IntegerField()
    created_at = MomentField()

    class Meta:
        table_name = "sound"


class PurposeTable(Table):
    """A tenant's own purpose; the standard ones are in ``recorder/prompts``."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    code = TextField()
    labels = DataField()
    legal_basis = TextField()
    longest_days = IntegerField()
    roles = DataField()
    created_at = MomentField()

    tenant_id: str

    class Meta:
        table_name = "purpose"
        indexes = ((("tenant", "code"), True),)


def optional_sound(column: str) -> ForeignKeyField:
    """A nullable reference to a sound."""
    name = f"{column.removesuffix('_sha256')}_id"
    return ForeignKeyField(
        SoundTable, column_name=column, object_id_name=name, null=True, on_delete="RESTRICT", backref="+"
    )


def required_sound(column: str) -> ForeignKeyField:
    """A reference to a sound."""
    name = f"{column.removesuffix('_sha256')}_id"
    return ForeignKeyField(
        SoundTable, column_name=column, object_id_name=name, on_delete="RESTRICT", backref="+"
    )


class AnnouncementTable(Table):
    """One immutable version, made for one mode; a change is a new row with the next version.

    ``question`` and ``declined`` belong to modes that ask for consent. ``composed`` says how it was composed
    (``mappers.composition_data``), ``None`` for a customer's own sound; ``greeting`` is the sound of its
    greeting.

    It is where a customer chooses among the purposes that a country's rules allow, once for all its lines;
    :class:`recorder.catalogue.records.AnnouncementRow` is the same row outside the database."""

    id = TextField(primary_key=True)
    tenant = ForeignKeyField(TenantTable, column_name="tenant_id", on_delete="RESTRICT")
    name = TextField()
    version = IntegerField()
    language = TextField()
    text = TextField()
    purposes = DataField()
    keep_days = IntegerField()
    sound = ForeignKeyField(
        SoundTable, column_name="sound_sha256", object_id_name="sound_id", on_delete="RESTRICT"
    )
    mode = TextField(default="notice", constraints=[SQL("DEFAULT 'notice'")])
    question_text = TextField(null=True)
    question = optional_sound("question_sha256")
    declined_text = TextField(null=True)
    declined = optional_sound("declined_sha256")
    composed = DataField(null=True)
    greeting = optional_sound("greeting_sha256")
    created_at = MomentField()

    tenant_id: str
    sound_id: str
    question_id: str | None
    declined_id: str | None
    greeting_id: str | None

    class Meta:
        table_name = "announcement"
        indexes = ((("tenant", "name", "version"), True),)
