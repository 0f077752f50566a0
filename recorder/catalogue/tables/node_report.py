"""What each node's worker reports of it."""

from __future__ import annotations

from peewee import SQL, BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table


class NodeReportTable(Table):
    """The latest report of a node's worker: ``watched_at`` is when the node's daemon last watched its switch,
    ``oldest_at`` the end of the call that has waited longest for the worker; ``root`` and ``keks`` are the
    ids of its root's key and of its key-encryption keys, ``calls`` what it calls numbers for; the rest are
    numbers of takes and bytes.

    Nobody signs it, so it decides nothing: by it, operators see their nodes, customers' admins are told that
    nothing is recorded, and guests are offered a call. A row that is made up at worst alarms them, leaves
    them to learn it from the list of calls, or offers a call that nobody makes."""

    not_copied = "of nodes that run now"
    not_compared = (
        (
            "node reported_at watched_at software live backlog oldest_at quarantine disk_size disk_free "
            "root keks calls",
            "tells operators how a node is, admins that nothing is recorded, and guests whether they can be "
            "called; a made-up one alarms them, leaves them to learn it from the list of calls, or offers a "
            "call that nobody makes",
        ),
    )

    node = TextField(primary_key=True)
    reported_at = MomentField()
    watched_at = MaybeMomentField(null=True)
    software = TextField()
    live = IntegerField()
    backlog = IntegerField()
    oldest_at = MaybeMomentField(null=True)
    quarantine = IntegerField()
    disk_size = BigIntegerField()
    disk_free = BigIntegerField()
    root = TextField(default="", constraints=[SQL("DEFAULT ''")])
    keks = TextField(default="", constraints=[SQL("DEFAULT ''")])
    calls = TextField(default="", constraints=[SQL("DEFAULT ''")])

    class Meta:
        table_name = "node_report"
