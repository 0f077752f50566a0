"""Reads FreeSWITCH's events about conferences, third parties and supervisors.

A conference (mod_conference) reports each member who joins or leaves, and each sound that plays to members.
Of a third party (``three_way``, as with key 0 in an attended transfer) the switch reports only that something
was attached to the internal leg; the list of channels identifies the party. The same holds for supervisors
(``eavesdrop``), on either leg; their keys decide whether they are heard (switch_ivr_eavesdrop_session). Names
and numbers may come from a stranger; decisions use the switch's own ids only.
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

MEDIA_BUG_EVENTS: Final = ("MEDIA_BUG_START", "MEDIA_BUG_STOP")
"""A media bug was attached to a leg, or detached from it."""

THREE_WAY, EAVESDROP = "three_way", "eavesdrop"
"""The application of a third party's leg, and of a supervisor's. Both attach an ``eavesdrop`` media bug to
the other leg (observed)."""

SUPERVISOR_KEYS: Final = "0123"
"""These keys select who hears a supervisor from then on: nobody, the other party, the leg's own party, or
both."""

JOINED, LEFT, SOUND_STARTED, SOUND_ENDED = "add-member", "del-member", "began", "ended"
_SOUND_ACTIONS: Final = {
    "play-file": SOUND_STARTED,
    "play-file-member": SOUND_STARTED,
    "play-file-done": SOUND_ENDED,
    "play-file-member-done": SOUND_ENDED,
}


@dataclass(frozen=True, slots=True)
class ConferenceMember:
    """A conference member: their leg, their member number, and their party."""

    leg: str
    number: str
    party: Party | None


@dataclass(frozen=True, slots=True)
class ConferenceEvent:
    """An event in ``conference`` (its id) called ``name``. ``what`` is :data:`JOINED`, :data:`LEFT`,
    :data:`SOUND_STARTED` or :data:`SOUND_ENDED`; the last two are about a ``sound`` for ``member`` or,
    without one, for all."""

    what: str
    conference: str
    name: str
    member: ConferenceMember | None
    sound: str = ""


def read_event(event: EslEvent) -> ConferenceEvent | None:
    """Read a conference's event; ``None`` if it is irrelevant."""
    action = event.header("Action")
    conference, name = event.header("Conference-Unique-ID"), event.header("Conference-Name")
    # "play-file-done" names no member, whatever channel it may be about.
    number = "" if action in ("play-file", "play-file-done") else event.header("Member-ID")
    member = None
    if number:
        member = ConferenceMember(event.uuid, number, party_of(event))
    if action in (JOINED, LEFT) and conference and member is not None and member.leg:
        return ConferenceEvent(action, conference, name, member)
    if action in _SOUND_ACTIONS and conference and (member is not None or "member" not in action):
        return ConferenceEvent(_SOUND_ACTIONS[action], conference, name, member, event.header("File"))
    return None


def read_key(event: EslEvent) -> tuple[str, str] | None:
    """Read the key that a member pressed, where their profile has the switch report keys: the member's number
    and the key; ``None`` for another event."""
    number, key = event.header("Member-ID"), event.header("DTMF-Key")
    return (number, key) if event.header("Action") == "dtmf" and number and key else None


def party_of(event: EslEvent) -> Party:
    """Return the party on a leg in a conference, or on a third party's leg. The destination of a leg that was
    transferred there is the conference's number; the party is its caller id then (observed)."""
    party = own_party(event.headers)
    if event.header("Caller-Transfer-Source") and event.header("Caller-Direction") == "outbound":
        party = parse_party(event.header("Caller-Caller-ID-Number"))
    return party


def read_conference_list(answer: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Read ``conference json_list``: yield each conference's id and name, and its members' numbers by their
    legs.

    Raises :class:`SwitchError` ``switch.answer``."""
    if not answer.startswith("["):
        return  # "No active conferences."
    try:
        for conference in json.loads(answer, strict=False):
            members: list[dict[str, Any]] = [
                one for one in conference.get("members", []) if one.get("type") == "caller"
            ]
            yield (
                str(conference["conference_uuid"]),
                str(conference["conference_name"]),
                {str(one["uuid"]): str(int(one["id"])) for one in members},
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SwitchError(
            "switch.answer",
            f"invalid answer to 'conference json_list': {error}",
            "run `accord doctor`; a module of the switch may have changed the reply",
        ) from error


def attached_legs(rows: list[dict[str, str]], application: str) -> dict[str, list[str]]:
    """Read the list of channels: return the legs of third parties (:data:`THREE_WAY`) or of supervisors
    (:data:`EAVESDROP`), by the leg that they are attached to."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("application") == application and row.get("application_data"):
            found.setdefault(row["application_data"], []).append(row["uuid"])
    return found


def has_eavesdropper(answer: str) -> bool:
    """Read ``uuid_buglist``: return whether a supervisor or a third party is attached to that leg."""
    return "<function>eavesdrop</function>" in answer


def is_attached(data: EslEvent, leg: str) -> bool:
    """Whether this is a third party or a supervisor on ``leg`` now."""
    now = data.variable("current_application"), data.variable("current_application_data")
    return now in ((THREE_WAY, leg), (EAVESDROP, leg))


def initial_key(data: EslEvent) -> str:
    """Return the key whose effect a supervisor has from the start (``eavesdrop_whisper_*``); empty if nobody
    hears them."""
    own, other = (
        _true(data.variable(f"eavesdrop_whisper_{leg}")) for leg in ("aleg", "bleg")
    )  # fmt: skip
    return "3" if own and other else "1" if own else "2" if other else ""


def accepts_keys(data: EslEvent) -> bool:
    """Whether the switch acts on a supervisor's keys."""
    return data.variable("eavesdrop_enable_dtmf") in ("", "_undef_") or _true(
        data.variable("eavesdrop_enable_dtmf")
    )


def audible_to(key: str, on_external: bool) -> tuple[str, str]:
    """Return who hears a supervisor who pressed this key, and in which channel of the recording the
    supervisor is (empty: none). ``on_external``: the supervisor listens on the external leg, otherwise on the
    internal one. All six combinations were observed: speech to the internal party on the external leg is in
    that leg's channel."""
    own, other = (EXTERNAL, INTERNAL) if on_external else (INTERNAL, EXTERNAL)
    who = {"1": other, "2": own, "3": BOTH_HEAR}.get(key, NOBODY_HEARS)
    return who, ("left" if on_external else "right") if key in ("1", "3") else ""


def _true(value: str) -> bool:
    """Interpret a value as the switch does (switch_true)."""
    return value.lower() in ("yes", "on", "true", "t", "enabled", "active", "allow") or (
        value.lstrip("-").isdecimal() and int(value) != 0
    )
