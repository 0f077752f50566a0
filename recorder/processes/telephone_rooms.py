"""Rooms by telephone: who was admitted to one, what they may hear of it, and the worker's thread that plays
it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from recorder.catalogue import change_messages
from recorder.clock import Now
from recorder.config import Settings
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.admissions import DisputeAdmissions
from recorder.features.disputes.agreements import Agreements
from recorder.features.disputes.dial_in import words_of_mark
from recorder.features.disputes.hearers import find_dispute, find_hearer
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.service import Disputes
from recorder.features.own_call.admissions import OwnCallAdmissions
from recorder.features.own_call.opening import OwnCalls
from recorder.features.own_call.rules import code_keys
from recorder.features.own_call.telephone import OwnCallPhone
from recorder.features.rooms.announcer import ProposedOutcome, RoomPerson, Side, TelephoneListener
from recorder.features.rooms.service import CHANNEL, Rooms
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.features.rooms.telephone import TelephoneRooms
from recorder.features.subject_requests import service as requests
from recorder.identity import users
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.conference_gate import ConferenceGate
from recorder.playback.interface import Actor
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.seal.revocation import Trust
from recorder.services import Services
from recorder.spool.command_socket import send_room_request
from recorder.spool.snapshot import ROOM_PROMPTS
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.verified_number import VerifiedNumber

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RoomAdmissions:
    """The people of disputes who listen by telephone
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
            dispute = find_dispute(user, room, self.trust)
        except (DisputeError, SealError) as error:
            log.warning("room.caller_unknown", room=room, user=user.id, error_id=error.error_id)
            return None
        hearer = find_hearer(user, dispute)
        if hearer is None:
            return None
        home = user.tenant if user.tenant != dispute.tenant else ""
        who = Actor(user.id, dispute.tenant, user.role, user.language, session, user.lines, home)
        guests = {
            user: RoomPerson(_side_of(each), each.name)
            for each in dispute.guests
            for user in (each.id, *each.entered)
        }
        proposal = None if hearer.third_party else _proposal_to(dispute, user.id, self.now())
        return TelephoneListener(who, hearer.durations, dispute.purposes[0], guests, proposal)

    def mark_passage(
        self, listener: TelephoneListener, room: str, recording: str, begin_ms: int, end_ms: int
    ) -> None:
        """See :class:`recorder.features.rooms.telephone.TelephoneAdmissions`."""
        person = users.user(listener.who.own_tenant, listener.who.user)
        if person is not None:
            words = words_of_mark(person.language)
            self.agreements.mark_passage(person, room, recording, begin_ms, end_ms, words)
            change_messages.send(CHANNEL, room)

    def confirm_outcome(self, listener: TelephoneListener, room: str, sha256: str) -> bool:
        """See :class:`recorder.features.rooms.telephone.TelephoneAdmissions`."""
        who, session = listener.who, listener.who.session or ""
        person = users.user_of_session(session)
        if person is None or not users.is_session_valid(who.own_tenant, who.user, session, self.now()):
            raise DisputeError("dispute.no_guest", "the caller's session has ended", "they can dial in again")
        self.agreements.confirm_outcome(person, room, sha256, session=session)
        change_messages.send(CHANNEL, room)
        outcome = queries.find_dispute(who.tenant, room, self.trust).outcome
        return outcome is not None and outcome.agreed_at is not None


def _side_of(guest: Guest) -> Side:
    return "caller" if guest.role == EXTERNAL_PARTY else "helper"


def _proposal_to(dispute: Dispute, user: str, now: datetime) -> ProposedOutcome | None:
    """The outcome that waits for a person's answer."""
    outcome = dispute.outcome
    if outcome is None or user in {each for each, _at in outcome.confirmations}:
        return None
    if outcome.final_at is not None and now >= outcome.final_at:
        return None
    statement = outcome.statement
    return ProposedOutcome(outcome.sha256, statement.outcome, statement.text, statement.keep_days)


def open_telephone_rooms(
    settings: Settings, services: Services, speech: Sources = SHIPPED
) -> TelephoneRooms | None:
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
        RoomAdmissions(gate, Agreements(Disputes(changes)), services.trust, services.now),
        SoundFolder(settings.rooms.sounds.absolute()),
        services.snapshot / ROOM_PROMPTS,
        speech,
        partial(send_room_request, services.spool),
        services.now,
    )


def open_own_calls(
    settings: Settings, services: Services, changes: Changes, policy: CallPolicy, speech: Sources
) -> OwnCallPhone | None:
    """Opens people's own calls on the telephone, where the settings name a folder for their sound."""
    if settings.rooms.sounds is None:
        return None
    folder = SoundFolder(settings.rooms.sounds.absolute(), "own-call")
    gate = ConferenceGate(
        services.store, services.keyring, services.root, now=services.now, entropy=services.entropy,
        revoked=services.revoked, admissions=OwnCallAdmissions(services.trust, services.now),
    )  # fmt: skip

    def enter_request(person: VerifiedNumber, wants: str, language: str) -> None:
        requests.enter_own(
            person, wants=wants, language=language, now=services.now(), entropy=services.entropy
        )

    def take_back_requests(person: VerifiedNumber) -> int:
        return requests.take_back_all(person, now=services.now(), entropy=services.entropy)

    return OwnCallPhone(
        OwnCalls(changes, policy), code_keys(services.keyring), gate, folder.write,
        lambda name, language: services.snapshot / ROOM_PROMPTS / f"{name}-{language}.wav",
        enter_request, take_back_requests, time.monotonic, speech,
    )  # fmt: skip
