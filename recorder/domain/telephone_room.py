"""Rooms by telephone: what the worker orders a room's conference to do, and what the daemon reports of it.

They travel over a Unix socket (``spool/command_socket.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from recorder.strict_json import Strict

CONFERENCE: Final = "accord-room-"
"""What the name of a room's conference begins with; the id of its dispute follows."""

LEASE: Final = timedelta(seconds=30)
"""How long after its node has died a room's callers can dial in at another one."""

RoomAction = Literal["load", "unload", "play", "pause", "admit", "remove", "tell", "hush", "renew"]
"""``load`` a sound (``value``: its path), paused at its beginning, and ``unload`` it; ``play`` from a
position, ``pause`` at one (in milliseconds of the sound); let a member hear (``admit``; a number), hang up
(``remove``), or ``tell`` them alone a sentence (a number and a path), and end what they are told (``hush``);
``renew`` the time after which the switch ends the sound by itself."""

UNATTENDED_SECONDS: Final = 30
"""Seconds after which the switch ends a sound that no worker attends to."""


@dataclass(frozen=True, slots=True)
class RoomOrder(Strict):
    """What a room's conference is to do."""

    room: str
    action: RoomAction
    value: str = ""


@dataclass(frozen=True, slots=True)
class RoomMember(Strict):
    """Somebody on the telephone: their number in the conference, and the ``session`` in which they were
    admitted; empty if they were not."""

    number: str
    session: str


@dataclass(frozen=True, slots=True)
class RoomReport(Strict):
    """Who is in a room's conference, and the ``keys`` that were pressed since the last report, each with the
    member's number."""

    room: str
    members: tuple[RoomMember, ...]
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RoomRequest(Strict):
    """Orders for the conferences of this switch; without any, what there is to report."""

    orders: tuple[RoomOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomAnswer(Strict):
    """The ``reports`` of all rooms on this switch; ``None`` after orders, and while the switch cannot be
    asked. The orders that ``failed``; the ones after them for the same room were not carried out."""

    reports: tuple[RoomReport, ...] | None = None
    failed: tuple[RoomOrder, ...] = ()


def lease_of(room: str) -> str:
    """The name of the lease that the one node has on whose switch the room's conference is."""
    return f"room by telephone {room}"
