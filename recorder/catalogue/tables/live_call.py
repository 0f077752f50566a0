"""Calls in progress and calls that have just ended, and the live commands, used by
``features/live/queries.py``."""

from __future__ import annotations

from peewee import IntegerField, TextField

from recorder.catalogue.database import MaybeMomentField, MomentField, Table


class _NodeCall(Table):
    """A call as its node's worker last saw it (``seen_at``)."""

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    node = TextField(index=True)
    line_id = TextField(null=True)
    number = TextField()
    direction = TextField()
    external_kind = TextField()
    external_value = TextField()
    started_at = MomentField()
    announced = IntegerField()
    seen_at = MomentField()


class LiveCallTable(_NodeCall):
    """A call in progress. The row is deleted when the call ends, and ignored if it is too old."""

    offboarding = "deleted"

    not_copied = "calls that go on now"
    not_compared = (
        (
            "id tenant_id node line_id number direction external_kind external_value started_at announced "
            "paused_until deletable keep_asked_at keep_answer seen_at",
            "the node's worker rewrites the rows of its calls every few seconds, and carries out a live "
            "command only for the customer that the take names",
        ),
    )

    paused_until = MaybeMomentField(null=True)
    deletable = IntegerField()
    keep_asked_at = MaybeMomentField(null=True)
    keep_answer = TextField(null=True)

    class Meta:
        table_name = "live_call"


class EndedCallTable(_NodeCall):
    """A call that has ended and whose recording is being stored. The row is deleted once the take has left
    the spool."""

    offboarding = "deleted"

    not_copied = "calls that are being stored now"
    not_compared = (
        (
            "id tenant_id node line_id number direction external_kind external_value started_at ended_at "
            "announced seen_at",
            "the node's worker rewrites the rows of its calls every few seconds; they only say that a "
            "recording is being stored",
        ),
    )

    ended_at = MomentField()

    class Meta:
        table_name = "ended_call"


class LiveCommandTable(Table):
    """A live command (``action``), and its origin (``by_kind``: panel, api). It is not carried out after
    ``until``; ``taken_at`` is when its node's worker took it. ``command`` is the signed statement
    (:mod:`recorder.seal.command`) without which nothing is done."""

    offboarding = "deleted"

    not_copied = "what was asked of them"
    not_compared = (
        (
            "node taken_at",
            "the node that carries out the command, for ten seconds: a node without the call does nothing, "
            "and an unsigned command is never carried out",
        ),
    )

    id = TextField(primary_key=True)
    tenant_id = TextField()
    call_id = TextField()
    node = TextField()
    action = TextField()
    by_kind = TextField()
    by_id = TextField()
    requested_at = MomentField()
    until = MomentField()
    taken_at = MaybeMomentField(null=True)
    outcome = TextField(null=True)
    answered_at = MaybeMomentField(null=True)
    command = TextField(null=True)

    class Meta:
        table_name = "live_command"
        indexes = ((("node", "outcome"), False),)
