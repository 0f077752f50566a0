"""The state of a room, and what commands do to it: pure functions.

The room belongs to the server, not to anybody's player. A command takes effect a moment later, at the same
time for everybody; each player follows by its estimate of the server's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from recorder.errors import RoomError

DELAY_MS: Final = 350
"""How long after a command it takes effect: more than it takes to reach everybody on a slow line."""

LEASE_MS: Final = 30_000
"""After so long without a word from who leads, anybody can take the lead."""

PRESENT_MS: Final = 25_000
"""After so long without a word somebody is no longer shown as present; pages report every ten seconds."""

RATES: Final = (75, 100, 125, 150)
"""Speeds, in percent."""

NORMAL_RATE: Final = 100
"""The only speed while somebody listens by telephone: a conference cannot change it."""

Action = Literal["play", "pause", "seek", "rate", "choose", "lead"]

PAUSE: Final[Action] = "pause"


@dataclass(frozen=True, slots=True)
class Room:
    """A room. From ``at_ms`` on, the recording is at ``position_ms``, and goes on from there if ``playing``,
    at ``rate`` percent of its speed. ``leader`` is a user's id, empty for nobody."""

    id: str
    tenant: str
    recording: str
    seq: int = 0
    playing: bool = False
    position_ms: int = 0
    at_ms: int = 0
    rate: int = 100
    leader: str = ""

    def position_at(self, now_ms: int, duration_ms: int) -> int:
        """The position at a time, in milliseconds of audio; at most the end."""
        advance = max(0, now_ms - self.at_ms) * self.rate // 100 if self.playing else 0
        return min(self.position_ms + advance, duration_ms)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a room, when they were last heard of, and whether their player has the sound."""

    user: str
    seen_ms: int
    ready: bool
    by_telephone: bool = False

    def is_present(self, now_ms: int) -> bool:
        return now_ms - self.seen_ms < PRESENT_MS


@dataclass(frozen=True, slots=True)
class RoomCommand:
    """What somebody in a room wants: ``position_ms`` for seek, and for play where it is to begin there,
    ``rate`` for rate, ``recording`` for choose, ``to`` (a user's id) for lead."""

    action: Action
    position_ms: int | None = None
    rate: int | None = None
    recording: str | None = None
    to: str | None = None


def leader_of(room: Room, members: Sequence[Member], now_ms: int) -> str:
    """Who leads now; empty where nobody does, because who led has been away for too long."""
    found = next((each for each in members if each.user == room.leader), None)
    return room.leader if found is not None and now_ms - found.seen_ms < LEASE_MS else ""


def follow_command(
    room: Room,
    command: RoomCommand,
    who: str,
    *,
    members: Sequence[Member],
    durations: Mapping[str, int],
    now_ms: int,
) -> Room:
    """The room after a command of a user; ``durations`` are those of the recordings that can be heard in it,
    in milliseconds. Anybody pauses, whoever leads, and anybody takes the lead. Whoever gives a command where
    nobody leads, leads from then on. Raises :class:`RoomError`: ``room.led`` (somebody else leads),
    ``room.command`` (it makes no sense here), ``room.telephone`` (no other speed than the normal one, while
    somebody listens by telephone), ``room.nobody`` (the lead is given to somebody who is not
    there)."""
    leader = leader_of(room, members, now_ms)
    duration = durations.get(room.recording, 0)
    at = now_ms + DELAY_MS
    here = room.position_at(at, duration)
    to = command.to or who
    room = replace(room, leader=who, seq=room.seq + 1)
    if command.action == PAUSE:
        return replace(room, leader=leader or who, playing=False, position_ms=here, at_ms=at)
    if command.action == "lead" and to == who:
        return room
    if leader not in ("", who):
        raise RoomError("room.led", "another person leads the room", "take the lead, or wait until they stop")
    if command.action == "lead":
        if not any(each.user == to and each.is_present(now_ms) for each in members):
            raise RoomError(
                "room.nobody", "that person is not in the room", "choose somebody who is in the room"
            )
        return replace(room, leader=to)
    if command.action == "choose":
        if command.recording not in durations:
            raise RoomError("room.command", "that recording is not part of this room", "reload the room")
        return replace(room, recording=str(command.recording), playing=False, position_ms=0, at_ms=at)
    if command.action == "rate":
        if command.rate not in RATES:
            raise RoomError(
                "room.command", f"the room has no speed {command.rate}", "choose one of the speeds shown"
            )
        if command.rate != NORMAL_RATE and any(
            each.by_telephone and each.is_present(now_ms) for each in members
        ):
            raise RoomError(
                "room.telephone",
                "somebody listens by telephone, at normal speed",
                "change the speed once nobody listens by telephone",
            )
        return replace(room, rate=command.rate, position_ms=here, at_ms=at)
    position = here if command.position_ms is None else command.position_ms
    if not 0 <= position <= duration:
        raise RoomError("room.command", "that position is not in the recording", "reload the room")
    if command.action == "seek":
        return replace(room, position_ms=position, at_ms=at)
    begin = 0 if position >= duration else position
    return replace(room, playing=True, position_ms=begin, at_ms=at)


def slow_down(room: Room, durations: Mapping[str, int], now_ms: int) -> Room:
    """The room at normal speed: somebody listens by telephone."""
    at = now_ms + DELAY_MS
    here = room.position_at(at, durations.get(room.recording, 0))
    return replace(room, rate=NORMAL_RATE, position_ms=here, at_ms=at, seq=room.seq + 1)


STEP_MS: Final = 10_000
"""How far a key on the telephone goes back or forward."""

MARK_KEY: Final = "8"
"""The key on the telephone that marks a passage."""

KEYS_KEY: Final = "0"
"""The key that tells which keys there are."""


LEAD_KEY: Final = "9"
"""The key that takes the lead."""


def is_key(key: str) -> bool:
    """Whether a key on the telephone has a meaning."""
    return key in ("1", "2", "3", "5", MARK_KEY, LEAD_KEY, KEYS_KEY)


def command_of(key: str, room: Room, duration_ms: int, now_ms: int) -> RoomCommand | None:
    """The command of a key on the telephone: 1 back, 2 pause (to talk), 3 forward, 5 play, 9 take the lead;
    ``None`` for another key, and for one that changes nothing."""
    here = room.position_at(now_ms, duration_ms)
    match key:
        case "1":
            return RoomCommand("seek", position_ms=max(0, here - STEP_MS))
        case "2":
            return RoomCommand(PAUSE)
        case "3":
            return RoomCommand("seek", position_ms=min(duration_ms, here + STEP_MS))
        case "5":
            return None if room.playing and here < duration_ms else RoomCommand("play")
        case "9":  # LEAD_KEY
            return RoomCommand("lead")
    return None
