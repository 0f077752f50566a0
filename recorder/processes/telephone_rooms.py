"""Rooms by telephone: who was admitted to one, what they may hear of it, and the worker's thread that plays
it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from recorder.catalogue import queries as catalogue
from recorder.clock import Now
from recorder.config import Settings
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.admissions import DisputeAdmissions
from recorder.features.disputes.agreements import Agreements
from recorder.features.disputes.dial_in import words_of_mark
from recorder.features.disputes.service import Disputes
from recorder.features.rooms.service import Rooms
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.features.rooms.telephone import TelephoneListener, TelephoneRooms
from recorder.identity import users
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.conference_gate import ConferenceGate
from recorder.playback.interface import Actor
from recorder.seal.revocation import Trust
from recorder.services import Services
from recorder.spool.command_socket import send_room_request
from recorder.spool.snapshot import ROOM_PROMPTS

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GuestAdmissions:
    """The guests of disputes who listen by telephone
    (:class:`recorder.features.rooms.telephone.TelephoneAdmissions`)."""

    gate: ConferenceGate
    agreements: Agreements
    trust: Trust
    now: Now

    def find(self, room: str, session: str) -> TelephoneListener | None:
        """See :class:`recorder.features.rooms.telephone.TelephoneAdmissions`."""
        user = users.user_of_session(session)
        if user is None or not users.is_session_valid(user.tenant, user.id, session, self.now()):
            return None
        try:
            self.gate.check_user(user)
            dispute = queries.find_dispute(user.tenant, room, self.trust)
            guest = dispute.find_guest(user.id)
        except (DisputeError, SealError) as error:
            log.warning("room.caller_unknown", room=room, user=user.id, error_id=error.error_id)
            return None
        if dispute.closed_at is not None or not guest.may_hear:
            return None
        rows = [catalogue.recording(dispute.tenant, each) for each in dispute.recording_ids]
        durations = {row.id: row.duration_ms for row in rows if row is not None and row.erased_at is None}
        who = Actor(user.id, user.tenant, user.role, user.language, session)
        return TelephoneListener(who, durations, dispute.purposes[0]) if durations else None

    def mark_passage(
        self, listener: TelephoneListener, room: str, recording: str, begin_ms: int, end_ms: int
    ) -> None:
        """See :class:`recorder.features.rooms.telephone.TelephoneAdmissions`."""
        person = users.user(listener.who.tenant, listener.who.user)
        if person is not None:
            words = words_of_mark(person.language)
            self.agreements.mark_passage(person, room, recording, begin_ms, end_ms, words)


def open_telephone_rooms(settings: Settings, services: Services) -> TelephoneRooms | None:
    """Plays rooms on the telephone, where the settings name a folder for their sound."""
    if settings.rooms.sounds is None:
        return None
    changes = Changes(services.store, services.root, services.signer, revoked=services.revoked)
    gate = ConferenceGate(
        services.store, services.keyring, services.root, now=services.now, entropy=services.entropy,
        revoked=services.revoked, admissions=DisputeAdmissions(services.trust),
    )  # fmt: skip
    return TelephoneRooms(
        settings.node.name,
        Rooms(services.now),
        gate,
        GuestAdmissions(gate, Agreements(Disputes(changes)), services.trust, services.now),
        SoundFolder(settings.rooms.sounds.absolute()),
        services.snapshot / ROOM_PROMPTS,
        partial(send_room_request, services.spool),
        services.now,
    )
