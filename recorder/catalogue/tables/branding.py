"""How the panel presents the provider."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import Table


class BrandingTable(Table):
    """The provider's signed branding (:mod:`recorder.seal.branding`); ``id`` is the tenant's, too."""

    id = TextField(primary_key=True)
    tenant_id = TextField()
    number = IntegerField()
    statement = TextField()

    class Meta:
        table_name = "branding"
