"""Reads FreeSWITCH's events about conferences, third parties and supervisors; its names for these end here.

A conference (mod_conference) reports each member who joins or leaves, and each sound that plays to them.
Of a third party (``three_way``, as in an attended transfer's key 0) it reports only that something was
attached to the colleague's leg; the list of channels says who it is. The same holds for supervisors
(``eavesdrop``), on either leg; whether they are heard follows from their keys
(switch_ivr_eavesdrop_session). Names and numbers in all of it may come from a stranger; decisions rest on
the switch's own ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recorder.domain.call_events import BOTH_HEAR, EXTERNAL, INTERNAL, NOBODY_HEARS
from recorder.domain.parties import Party, parse_party
from recorder.errors import SwitchError
from recorder.switch.caller_id import own_party
from recorder.switch.esl_events import EslEvent

MAINTENANCE: Final = "conference::maintenance"
"""The subclass of a conference's events."""

ATTACHED: Final = ("MEDIA_BUG_START", "MEDIA_BUG_STOP")
"""Something was attached to a leg's media, or detached from it."""

THIRD, LISTENER = "three_way", "eavesdrop"
"""The application of a third party's leg, and of a supervisor's; both attach an ``eavesdrop`` to the other
leg (seen)."""

KEYS_OF_LISTENER: Final = "0123"
"""Whom a supervisor talks to from then on: nobody, the other party, the leg's own party, or both."""

CAME, WENT, BEGAN, ENDED = "add-member", "del-member", "began", "ended"
_PLAYS: Final = {
    "play-file": BEGAN,
    "play-file-member": BEGAN,
    "play-file-done": ENDED,
    "play-file-member-done": ENDED,
}


@dataclass(frozen=True, slots=True)
class ConferenceMember:
    """A conference member: their leg, their member number, and their party."""

    leg: str
    number: str
    party: Party | None


@dataclass(frozen=True, slots=True)
class ConferenceEvent:
    """An event in the conference ``room`` (its id; ``name`` is what it is called). ``what`` is
    :data:`CAME`, :data:`WENT`, :data:`BEGAN` or :data:`ENDED`; the last two are about a ``sound``, for
    ``member`` or, without one, for all."""

    what: str
    room: str
    name: str
    member: ConferenceMember | None
    sound: str = ""


def in_room(event: EslEvent) -> ConferenceEvent | None:
    """Read a conference's event; ``None`` where it is irrelevant."""
    action = event.header("Action")
    room, name = event.header("Conference-Unique-ID"), event.header("Conference-Name")
    # "play-file-done" names no member, whatever channel it may be about.
    number = "" if action in ("play-file", "play-file-done") else event.header("Member-ID")
    member = None
    if number:
        member = ConferenceMember(event.uuid, number, who_is(event))
    if action in (CAME, WENT) and room and member is not None and member.leg:
        return ConferenceEvent(action, room, name, member)
    if action in _PLAYS and room and (member is not None or "member" not in action):
        return ConferenceEvent(_PLAYS[action], room, name, member, event.header("File"))
    return None


def who_is(event: EslEvent) -> Party:
    """Return the party on a leg in a conference, or on a third party's leg. A leg that was transferred
    there was last called by the conference's number: the switch has made it a caller then (seen)."""
    who = own_party(event.headers)
    if event.header("Caller-Transfer-Source") and event.header("Caller-Direction") == "outbound":
        who = parse_party(event.header("Caller-Caller-ID-Number"))
    return who


def listed(answer: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Read ``conference json_list``: yield each conference's id and name, and its members' numbers by their
    legs.

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
    """Read the list of channels: return the legs of third parties, or of supervisors (:data:`THIRD`,
    :data:`LISTENER`), by the leg that they are attached to."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("application") == application and row.get("application_data"):
            found.setdefault(row["application_data"], []).append(row["uuid"])
    return found


def listened_on(answer: str) -> bool:
    """Read ``uuid_buglist``: return whether a supervisor or a third party is attached to that leg."""
    return "<function>eavesdrop</function>" in answer


def is_attached(data: EslEvent, leg: str) -> bool:
    """Whether this is a third party or a supervisor on ``leg`` now."""
    now = data.variable("current_application"), data.variable("current_application_data")
    return now in ((THIRD, leg), (LISTENER, leg))


def speaks_at_first(data: EslEvent) -> str:
    """Return the key that a supervisor need not press, because they began so; empty where they only
    listen."""
    own, other = (
        _true(data.variable(f"eavesdrop_whisper_{leg}")) for leg in ("aleg", "bleg")
    )  # fmt: skip
    return "3" if own and other else "1" if own else "2" if other else ""


def presses(data: EslEvent) -> bool:
    """Whether a supervisor's keys mean something to the switch."""
    return data.variable("eavesdrop_enable_dtmf") in ("", "_undef_") or _true(
        data.variable("eavesdrop_enable_dtmf")
    )


def heard(key: str, on_outside: bool) -> tuple[str, str]:
    """Return who hears a supervisor who pressed this key, and in which channel of the recording they are,
    empty where in none; they listen on the external leg, or on the colleague's. All six were seen: what
    they say to the colleague on the external leg is in the channel of that leg."""
    own, other = (EXTERNAL, INTERNAL) if on_outside else (INTERNAL, EXTERNAL)
    who = {"1": other, "2": own, "3": BOTH_HEAR}.get(key, NOBODY_HEARS)
    return who, ("left" if on_outside else "right") if key in ("1", "3") else ""


def _true(value: str) -> bool:
    """Interpret a value as the switch does (switch_true)."""
    return value.lower() in ("yes", "on", "true", "t", "enabled", "active", "allow") or (
        value.lstrip("-").isdecimal() and int(value) != 0
    )
