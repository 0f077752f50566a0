"""Who may download recordings as files."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import Table


class DownloadPermissionTable(Table):
    """A colleague's signed permission to download (:mod:`recorder.seal.download_permission`); ``id`` is the
    user's."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    number = IntegerField()
    statement = TextField()

    class Meta:
        table_name = "download_permission"
