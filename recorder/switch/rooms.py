"""Conferences and third parties, as FreeSWITCH tells of them: its names for these end here.

A conference (mod_conference) tells of each member who comes or goes, and of what is played to them.  Of a
third party (``three_way``, as in an attended transfer's key 0) it tells only that something was attached to
the colleague's leg: who it is, the list of channels says.  Names and numbers in all of it may be a
stranger's; what is decided on is the switch's own ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recorder.errors import SwitchError
from recorder.switch.caller import own_party, party
from recorder.switch.events import CallEvent

MAINTENANCE: Final = "conference::maintenance"
"""The subclass of a conference's events."""

ATTACHED: Final = ("MEDIA_BUG_START", "MEDIA_BUG_STOP")
"""Something was attached to a leg's sound, or taken off it."""

THIRD: Final = "three_way"

CAME, WENT, BEGAN, ENDED = "add-member", "del-member", "began", "ended"
_PLAYS: Final = {
    "play-file": BEGAN,
    "play-file-member": BEGAN,
    "play-file-done": ENDED,
    "play-file-member-done": ENDED,
}


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a conference: their leg, their number in it, and who they are."""

    leg: str
    number: str
    party: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class InRoom:
    """Something that happened in the conference ``room`` (its id; ``name`` is what it is called).  ``what``
    is :data:`CAME`, :data:`WENT`, :data:`BEGAN` or :data:`ENDED`; the last two of a ``sound``, for ``member``
    or, without one, for all."""

    what: str
    room: str
    name: str
    member: Member | None
    sound: str = ""


def in_room(event: CallEvent) -> InRoom | None:
    """What a conference's event says; ``None`` for what is nothing to us."""
    action = event.header("Action")
    room, name = event.header("Conference-Unique-ID"), event.header("Conference-Name")
    # "play-file-done" names no member, whatever channel it may be about.
    number = "" if action in ("play-file", "play-file-done") else event.header("Member-ID")
    member = None
    if number:
        member = Member(event.uuid, number, who_is(event))
    if action in (CAME, WENT) and room and member is not None and member.leg:
        return InRoom(action, room, name, member)
    if action in _PLAYS and room and (member is not None or "member" not in action):
        return InRoom(_PLAYS[action], room, name, member, event.header("File"))
    return None


def who_is(event: CallEvent) -> tuple[str, str]:
    """Who is on a leg in a room, or on a third one's.  One that was transferred there was called by the
    number of the room last: the switch has made them a caller then (seen)."""
    who = own_party(event.headers)
    if event.header("Caller-Transfer-Source") and event.header("Caller-Direction") == "outbound":
        who = party(event.header("Caller-Caller-ID-Number"))
    return who.kind, who.value


def listed(answer: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Of ``conference json_list``: each conference's id and name, and its members' numbers by their legs.

    Raises :class:`SwitchError` ``switch.answer``."""
    if not answer.startswith("["):
        return  # "No active conferences."
    try:
        for room in json.loads(answer, strict=False):
            members: list[dict[str, Any]] = [
                one for one in room.get("members", []) if one.get("type") == "caller"
            ]
            yield (
                str(room["conference_uuid"]),
                str(room["conference_name"]),
                {str(one["uuid"]): str(int(one["id"])) for one in members},
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SwitchError(
            "switch.answer", f"'conference json_list' answered something else: {error}"
        ) from error


def thirds(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    """Of the list of channels: the legs that are third parties, by the leg that they are attached to."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("application") == THIRD and row.get("application_data"):
            found.setdefault(row["application_data"], []).append(row["uuid"])
    return found
