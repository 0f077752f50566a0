"""Rooms in the catalogue, so that several panel processes serve the same one, and who is in them.

A room's row decides nothing but what players do: who may hear is checked by the gate, for each of them, at
each request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from recorder.catalogue import change_messages
from recorder.catalogue.database import connected, writing
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.server_clock import time_of_catalogue
from recorder.catalogue.tables.room import RoomMemberTable, RoomTable
from recorder.clock import Now
from recorder.errors import RoomError
from recorder.features.rooms.rules import (
    NORMAL_RATE,
    PAUSE,
    Member,
    Room,
    RoomCommand,
    follow_command,
    slow_down,
)

CHANNEL = "accord_room"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(at: datetime) -> int:
    """A time as a room has it: milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Rooms:
    """Rooms by the id of their dispute. ``now`` is this machine's clock; with a catalogue on another machine,
    that one's is used, because the hosts of several panel processes differ."""

    now: Now
    clock: Callable[[], datetime | None] = time_of_catalogue

    def now_ms(self) -> int:
        """The time by which rooms go."""
        return milliseconds(self.clock() or self.now())

    def find(self, tenant: str, room: str, recording: str) -> Room:
        """A room; one that nobody has used yet is paused at the beginning of ``recording``."""
        with connected():
            row = RoomTable.get_or_none((RoomTable.tenant_id == tenant) & (RoomTable.id == room))
        return Room(room, tenant, recording) if row is None else read_value(Room, row)

    def members(self, tenant: str, room: str) -> tuple[Member, ...]:
        """Who is, or was, in a room, by id."""
        mine = (RoomMemberTable.tenant_id == tenant) & (RoomMemberTable.room_id == room)
        with connected():
            rows = RoomMemberTable.select().where(mine).order_by(RoomMemberTable.user_id)
            return tuple(read_value(Member, row) for row in rows)

    def note_presence(
        self, tenant: str, room: str, user: str, *, ready: bool, by_telephone: bool = False
    ) -> None:
        """Somebody is in a room, and their player has the sound (``ready``), or not yet."""
        now = self.now_ms()
        before = next((each for each in self.members(tenant, room) if each.user == user), None)
        change = {"seen_ms": now, "ready": int(ready), "by_telephone": int(by_telephone)}
        with writing():
            RoomMemberTable.insert(
                id=f"{room}/{user}", tenant_id=tenant, room_id=room, user_id=user, **change
            ).on_conflict(conflict_target=[RoomMemberTable.id], update=change).execute()
        if before is None or not before.is_present(now) or before.ready != ready:
            change_messages.send(CHANNEL, room)

    def note_departure(self, tenant: str, room: str, user: str) -> None:
        """Somebody has left a room."""
        with writing():
            RoomMemberTable.delete().where(
                (RoomMemberTable.tenant_id == tenant) & (RoomMemberTable.id == f"{room}/{user}")
            ).execute()
        change_messages.send(CHANNEL, room)

    def command(
        self, before: Room, command: RoomCommand, who: str, *, seq: int, durations: Mapping[str, int]
    ) -> Room:
        """Carry out a command that was given by somebody who saw the room at ``seq``. A pause is carried out
        whatever came first: whoever gives it wants silence. Raises :class:`RoomError`: ``room.outdated``
        (another command came first), and as :func:`recorder.features.rooms.rules.follow_command`."""
        while seq == before.seq or command.action == PAUSE:
            members = self.members(before.tenant, before.id)
            after = follow_command(
                before, command, who, members=members, durations=durations, now_ms=self.now_ms()
            )
            if _replace_room(before, after):
                change_messages.send(CHANNEL, before.id)
                return after
            before = self.find(before.tenant, before.id, before.recording)
        raise _outdated()

    def slow_down(self, before: Room, durations: Mapping[str, int]) -> Room:
        """Somebody listens by telephone: the room goes on at normal speed. Returns it; another command may
        have come first."""
        if before.rate != NORMAL_RATE:
            after = slow_down(before, durations, self.now_ms())
            if _replace_room(before, after):
                change_messages.send(CHANNEL, before.id)
                return after
        return before


def _replace_room(before: Room, after: Room) -> bool:
    """Write the state of a room; whether it was still as ``before``."""
    columns = columns_of(after, RoomTable)
    same = (RoomTable.id == before.id) & (RoomTable.seq == before.seq)
    with writing():
        # The first command makes the row: of two at once, one finds it made and changes nothing.
        RoomTable.insert(columns | {"seq": 0}).on_conflict_ignore().execute()
        return bool(RoomTable.update(columns).where(same).execute())


def _outdated() -> RoomError:
    return RoomError(
        "room.outdated",
        "another command came first",
        "repeat the command: the page shows the room's newest state",
    )


def drop_rooms(before_ms: int) -> int:
    """Drop rooms whose last word is older than that, and who was in them; returns how many rooms."""
    with writing():
        recent = RoomMemberTable.select(RoomMemberTable.room_id).where(RoomMemberTable.seen_ms >= before_ms)
        RoomMemberTable.delete().where(
            (RoomMemberTable.seen_ms < before_ms) & RoomMemberTable.room_id.not_in(recent)
        ).execute()
        in_use = RoomMemberTable.select(RoomMemberTable.room_id)
        stale = (RoomTable.at_ms < before_ms) & RoomTable.id.not_in(in_use)
        return int(RoomTable.delete().where(stale).execute())
