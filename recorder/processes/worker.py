"""The worker process, composed from the settings."""

from __future__ import annotations

import os
from collections.abc import Set

from recorder.features.disputes.callers import CallerDesk
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.live.duty import LiveCallRelay
from recorder.features.rooms.service import Rooms
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.clock_guard import NAME, ClockGuard
from recorder.processes import object_store
from recorder.processes.checkpoint_witnesses import open_witnesses
from recorder.processes.mail_delivery import MailDelivery, mail_server
from recorder.processes.services import Context
from recorder.processes.supervisor import heartbeat
from recorder.processes.telephone_rooms import open_own_calls, open_telephone_rooms
from recorder.processes.worker_loop import Worker
from recorder.processes.worker_status import Overseer
from recorder.prompts.sound_sources import Sources, open_sources
from recorder.services import Services
from recorder.verification_calls.caller import VerificationCaller
from recorder.verification_calls.register import OPENINGS, USES


def caller_desk(context: Context, services: Services, speech: Sources) -> CallerDesk | None:
    """Answers about callers to rooms, where the settings name a number for them.  Raises
    :class:`ConfigError`."""
    dial_in, node = context.dial_in(), context.settings.node
    if dial_in is None:
        return None
    changes = Changes(services.store, services.root, services.signer, revoked=services.revoked)
    invitations = GuestInvitations(Disputes(changes), context.outbox(), dial_in)
    rooms, sounds = Rooms(services.now), context.settings.rooms.sounds

    def present(tenant: str, room: str) -> Set[str]:
        now = rooms.now_ms()
        return {each.user for each in rooms.members(tenant, room) if each.is_present(now)}

    desk = CallerDesk(
        services.spool, services.snapshot, dial_in, invitations, present,
        lambda: sounds is not None and SoundFolder(sounds.absolute()).is_usable(), node.name, node.region,
        speech, dict(each.split("=", 1) for each in context.settings.rooms.nodes),
    )  # fmt: skip
    desk.own_calls = open_own_calls(context.settings, services, changes, context.call_policy(), speech)
    return desk


def run(context: Context) -> None:
    """Run until SIGTERM; end the process even while a thread waits for a store that hangs."""
    settings = context.settings
    context.open_catalogue()
    services = context.services()
    speech = open_sources(settings.prompts)
    desk = caller_desk(context, services, speech)
    worker = Worker(
        services,
        settings,
        sources=speech,
        witnesses=open_witnesses(settings),
        timekeeper=ClockGuard(services.spool / NAME, context.witnesses()),
        beat=heartbeat(os.environ),
        relay=LiveCallRelay(settings.node.name, services.spool, services.root, revoked=services.revoked),
        caller=VerificationCaller(
            settings.node.name,
            services.spool,
            speech,
            context.call_policy(),
            uses=OPENINGS if desk is None else USES,
        )
        if settings.verification_calls.dial
        else None,
        desk=desk,
        rooms=open_telephone_rooms(settings, services, speech),
        mail=MailDelivery(services, mail_server(settings)),
        outbox=context.outbox(),
    )
    Overseer(
        worker,
        object_store.probe(settings),
        services.signer.endorsement.not_after,
        settings.metrics.host,
        settings.metrics.worker_port,
        tuple(str(network) for network in settings.metrics.allow),
    ).start()
    if not worker.run():
        # A normal exit would wait for the threads that wait for a store.  Every stage may be interrupted.
        os._exit(0)
