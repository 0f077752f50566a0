"""What a room's page and its stream of events say: the state, who is there, and the sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import abort

from recorder.catalogue import queries as catalogue
from recorder.errors import DisputeError
from recorder.features.disputes.hearers import find_hearer
from recorder.features.disputes.rules import Dispute
from recorder.features.rooms.rules import Room, leader_of
from recorder.features.rooms.service import Rooms
from recorder.identity import users
from recorder.playback.interface import SOUNDS, WEBM, WEBM_TYPE
from web.disputes.operations import find_dispute, people_of
from web.state import current_visitor, panel_state

OPUS = SOUNDS[0]


@dataclass(frozen=True, slots=True)
class RoomVisit:
    """The room that the visitor may be in: its dispute, the recordings that are heard in it with their
    durations in milliseconds, and the names of its people by id. ``passages_only``: the visitor was not in
    the call."""

    dispute: Dispute
    durations: Mapping[str, int]
    names: Mapping[str, str]
    passages_only: bool = False


def rooms() -> Rooms:
    return Rooms(panel_state().now)


def enter(dispute_id: str) -> RoomVisit:
    """The room of a dispute for a visitor who may be in it; 404 for anybody else."""
    found = find_visit(dispute_id)
    if found is None:
        abort(404)
    return found


def find_visit(dispute_id: str) -> RoomVisit | None:
    """The room of a dispute, while the visitor may be in it (:mod:`recorder.features.disputes.hearers`);
    ``None`` for anybody else."""
    person, user = current_visitor(), current_visitor().user
    if not users.is_session_valid(user.tenant, user.id, person.session.id, panel_state().now()):
        return None
    try:
        hearer = find_hearer(user, find_dispute(dispute_id))
    except DisputeError:
        return None
    if hearer is None:
        return None
    dispute = hearer.dispute
    return RoomVisit(dispute, hearer.durations, people_of(dispute), hearer.third_party is not None)


def room_sounds(visit: RoomVisit, recording: str) -> list[tuple[str, str]]:
    """A recording's sounds in a room, by name and media type. Opus is offered in WebM first, in which
    somebody who comes late is in sooner; somebody who hears passages alone is offered nothing that has
    more."""
    row = catalogue.recording(visit.dispute.tenant, recording)
    stored = {} if row is None else {each.name: each.media_type for each in row.objects}
    found = [(WEBM, WEBM_TYPE)] if OPUS in stored else []
    return found + [
        (name, stored[name])
        for name in SOUNDS
        if name in stored and not (visit.passages_only and name == OPUS)
    ]


def state_of(visit: RoomVisit) -> dict[str, Any]:
    """The room as JSON: times in milliseconds of the room's clock."""
    service = rooms()
    room = service.find(visit.dispute.tenant, visit.dispute.id, next(iter(visit.durations)))
    members, now = service.members(room.tenant, room.id), service.now_ms()
    return {
        **room_body(room),
        "leader": leader_of(room, members, now),
        "now": now,
        "version": len(visit.dispute.statements),
        "members": [
            {
                "id": each.user,
                "name": visit.names.get(each.user, ""),
                "ready": each.ready,
                "by_telephone": each.by_telephone,
            }
            for each in members
            if each.is_present(now)
        ],
    }


def room_body(room: Room) -> dict[str, Any]:
    """The state that players follow."""
    return {
        "seq": room.seq,
        "recording": room.recording,
        "playing": room.playing,
        "position": room.position_ms,
        "at": room.at_ms,
        "rate": room.rate,
    }
