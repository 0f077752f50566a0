"""Rooms in which people listen together."""

from __future__ import annotations

from peewee import BigIntegerField, IntegerField, TextField

from recorder.catalogue.database import Table

ROOM_STATE = (
    "what players in a room do, and who is shown in it; the gate checks each listener at each request all "
    "the same"
)


class RoomTable(Table):
    """The state of a dispute's room, with the dispute's id: from ``at_ms`` on (milliseconds since 1970, by
    the catalogue's clock) its recording is played, or paused, at ``position_ms``. Each command counts
    ``seq``."""

    not_copied = "what players do now"
    not_compared = (("id tenant_id seq recording_id playing position_ms at_ms rate leader", ROOM_STATE),)

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    seq = IntegerField()
    recording_id = TextField()
    playing = IntegerField()
    position_ms = IntegerField()
    at_ms = BigIntegerField()
    rate = IntegerField()
    leader = TextField()

    class Meta:
        table_name = "room"


class RoomMemberTable(Table):
    """Somebody in a room; ``id`` is made of the room's and the user's. ``ready``: their player has the sound
    at the room's position."""

    not_copied = "who is in a room now"
    not_compared = (("id tenant_id room_id user_id seen_ms ready by_telephone", ROOM_STATE),)

    id = TextField(primary_key=True)
    tenant_id = TextField(index=True)
    room_id = TextField(index=True)
    user_id = TextField()
    seen_ms = BigIntegerField()
    ready = IntegerField()
    by_telephone = IntegerField(default=0)

    class Meta:
        table_name = "room_member"
