"""When each node's daemon last watched its switch."""

from __future__ import annotations

from peewee import TextField

from recorder.catalogue.database import MomentField, Table


class NodeWatchTable(Table):
    """When a node's daemon last watched its switch (``watched_at``), as the node's worker said at a time
    (``reported_at``).

    Nobody signs it, so it decides nothing: by it, customers' admins are told that nothing is recorded. A row
    that is made up at worst alarms them, or leaves them to learn it from the list of calls."""

    node = TextField(primary_key=True)
    watched_at = MomentField()
    reported_at = MomentField()

    class Meta:
        table_name = "node_watch"
