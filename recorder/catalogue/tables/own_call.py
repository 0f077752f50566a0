"""Codes with which people who were recorded open their own call."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import Table


class OwnCallTable(Table):
    """A recording's newest signed code (:mod:`recorder.seal.own_call`); ``id`` is the recording's. The
    columns beside the statement lead to it: ``code_mac`` (empty once it is withdrawn), and ``guest_id``, the
    user that the person then is. The row is deleted when the recording is erased."""

    offboarding = "deleted"

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    number = IntegerField()
    guest_id = TextField(index=True)
    code_mac = TextField(index=True)
    statement = TextField()

    class Meta:
        table_name = "own_call"
