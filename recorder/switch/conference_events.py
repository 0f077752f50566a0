"""Conferences, third parties and listeners, as FreeSWITCH tells of them: its names for these end here.

A conference (mod_conference) tells of each member who comes or goes, and of what is played to them.  Of a
third party (``three_way``, as in an attended transfer's key 0) it tells only that something was attached to
the colleague's leg: who it is, the list of channels says.  So of who listens (``eavesdrop``), on either leg;
whether they are heard follows from their keys (switch_ivr_eavesdrop_session).  Names and numbers in all of
it may be a stranger's; what is decided on is the switch's own ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recorder.domain.call_events import BOTH_HEAR, COLLEAGUE, NOBODY_HEARS, OUTSIDE
from recorder.domain.parties import Party, parse_party
from recorder.errors import SwitchError
from recorder.switch.caller_id import own_party
from recorder.switch.esl_events import EslEvent

MAINTENANCE: Final = "conference::maintenance"
"""The subclass of a conference's events."""

ATTACHED: Final = ("MEDIA_BUG_START", "MEDIA_BUG_STOP")
"""Something was attached to a leg's sound, or taken off it."""

THIRD, LISTENER = "three_way", "eavesdrop"
"""What a third party's leg does, and a listener's; both attach an ``eavesdrop`` to the other leg (seen)."""

KEYS_OF_LISTENER: Final = "0123"
"""Whom a listener talks to from then on: nobody, whom the leg's own party speaks with, that party, both."""

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
    party: Party | None


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


def in_room(event: EslEvent) -> InRoom | None:
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


def who_is(event: EslEvent) -> Party:
    """Who is on a leg in a room, or on a third one's.  One that was transferred there was called by the
    number of the room last: the switch has made them a caller then (seen)."""
    who = own_party(event.headers)
    if event.header("Caller-Transfer-Source") and event.header("Caller-Direction") == "outbound":
        who = parse_party(event.header("Caller-Caller-ID-Number"))
    return who


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


def attached(rows: list[dict[str, str]], application: str) -> dict[str, list[str]]:
    """Of the list of channels: the legs that are third parties, or listeners (:data:`THIRD`,
    :data:`LISTENER`), by the leg that they are attached to."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("application") == application and row.get("application_data"):
            found.setdefault(row["application_data"], []).append(row["uuid"])
    return found


def listened_on(answer: str) -> bool:
    """Of ``uuid_buglist``: whether somebody listens on that leg, or is a third one there."""
    return "<function>eavesdrop</function>" in answer


def is_attached(data: EslEvent, leg: str) -> bool:
    """Whether this is a third one or a listener on ``leg`` now."""
    now = data.variable("current_application"), data.variable("current_application_data")
    return now in ((THIRD, leg), (LISTENER, leg))


def speaks_at_first(data: EslEvent) -> str:
    """The key that a listener need not press, for they began so; empty where they only listen."""
    own, other = (
        _true(data.variable(f"eavesdrop_whisper_{leg}")) for leg in ("aleg", "bleg")
    )  # fmt: skip
    return "3" if own and other else "1" if own else "2" if other else ""


def presses(data: EslEvent) -> bool:
    """Whether a listener's keys mean something to the switch."""
    return data.variable("eavesdrop_enable_dtmf") in ("", "_undef_") or _true(
        data.variable("eavesdrop_enable_dtmf")
    )


def heard(key: str, on_outside: bool) -> tuple[str, str]:
    """Who hears a listener who pressed this, and in which channel of the recording they are, empty where in
    none; they listen on the outside leg, or on the colleague's.  All six seen: what they say to the colleague
    on the outside leg is in what comes from there."""
    own, other = (OUTSIDE, COLLEAGUE) if on_outside else (COLLEAGUE, OUTSIDE)
    who = {"1": other, "2": own, "3": BOTH_HEAR}.get(key, NOBODY_HEARS)
    return who, ("left" if on_outside else "right") if key in ("1", "3") else ""


def _true(value: str) -> bool:
    """As the switch takes it (switch_true)."""
    return value.lower() in ("yes", "on", "true", "t", "enabled", "active", "allow") or (
        value.lstrip("-").isdecimal() and int(value) != 0
    )
