"""The worker's duties beside the takes, once a minute: it erases what has expired, drops what nobody needs,
and signs the logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recorder import metrics
from recorder.auditlog import checkpoint, mail_witness, timestamping
from recorder.features.disputes.copies import copy_due
from recorder.features.disputes.duty import OutcomeDuty
from recorder.features.disputes.news import NewsDuty
from recorder.features.fleet.service import report_node
from recorder.features.notifications.duty import Notifier
from recorder.features.notifications.service import wants_dispute_mail
from recorder.features.offboarding.duty import erase_due
from recorder.features.own_call.duty import revoke_ended
from recorder.features.rooms.service import Rooms, drop_rooms, milliseconds
from recorder.features.subject_requests.withdrawals import WithdrawalDuty
from recorder.features.team import account_links
from recorder.features.usage.duty import UsageCounter
from recorder.identity import throttle, users
from recorder.isolation import report_failure
from recorder.lifecycle import amendment_recovery, expiry, limit_application, retention_limits
from recorder.lifecycle.clock_guard import ClockGuard
from recorder.lifecycle.hold_review import HoldReminders
from recorder.mail.outbox import Outbox
from recorder.playback import grants
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.mail_delivery import DUTY as OUTGOING_MAIL
from recorder.processes.node_report import measure_node
from recorder.seal.signing import key_id
from recorder.services import Services

SESSIONS_KEPT: Final = timedelta(days=30)

ROOMS_KEPT: Final = timedelta(days=2)
"""A room that nobody has used for so long begins anew: paused, at the beginning."""


@dataclass(frozen=True, slots=True)
class Duties:
    """The duties of one worker.  ``timekeeper`` says whether the clock can be trusted; by any other clock
    nothing is erased or signed."""

    services: Services
    witnesses: CheckpointWitnesses
    timekeeper: ClockGuard
    reminders: HoldReminders = field(default_factory=HoldReminders)
    usage: UsageCounter = field(default_factory=UsageCounter)
    notifier: Notifier = field(default_factory=Notifier)
    outbox: Outbox = field(default_factory=Outbox)
    node: str = ""
    """The name that this node reports under."""
    calls: tuple[str, ...] = ()
    """What this node calls numbers for."""

    def keep(self) -> None:
        """Run every duty; one that fails is counted and repeated the next time. A failure about one customer
        or object concerns no other (:mod:`recorder.isolation`)."""
        services, now = self.services, self.services.now()
        for name, duty in _EACH_TURN.items():
            try:
                duty(self, services, now)
            except Exception as error:
                # Whatever it is, it must not end the others' turn.
                metrics.DUTY_FAILURES.labels(name).inc()
                report_failure(services.faults, "duty.delayed", error, name, duty=name)
            else:
                services.faults.recover("duty.delayed", name, duty=name)
                metrics.DUTY_DONE.labels(name).set(services.now().timestamp())


def _presence(rooms: Rooms) -> Callable[[str, str, str], bool]:
    """Whether somebody is in a room now."""

    def is_present(tenant: str, room: str, user: str) -> bool:
        now = rooms.now_ms()
        return any(each.user == user and each.is_present(now) for each in rooms.members(tenant, room))

    return is_present


_EACH_TURN: Final[Mapping[str, Callable[[Duties, Services, datetime], object]]] = {
    "fleet": lambda its, own, now: report_node(
        measure_node(its.node, own.spool, now, key_id(own.root), own.keyring.ids(), its.calls)
    ),
    "amendments": lambda _, own, now: amendment_recovery.list_pending(
        own.store, own.root, now, own.entropy, own.revoked, own.faults
    ),
    "limits": lambda _, own, now: (
        retention_limits.finish_pending(own.store, own.trust, now, own.entropy, faults=own.faults),
        limit_application.apply_limits(own.store, own.root, now, own.revoked, own.faults),
    ),
    "holds": lambda its, own, _: its.reminders.remind(own.now(), own.faults),
    # What both sides agreed on is sealed before anything is erased.
    "outcomes": lambda its, own, _: OutcomeDuty(own, its.outbox).record_due(its.timekeeper.check()),
    "withdrawals": lambda its, own, _: WithdrawalDuty(own).record_due(its.timekeeper.check()),
    "own_calls": lambda _its, own, now: revoke_ended(own, now),
    "recordings": lambda its, own, _: expiry.destroy_due(own, its.timekeeper.check()),
    "leaving": lambda its, own, _: erase_due(own, its.timekeeper.check()),
    "quarantine": lambda its, own, _: expiry.empty_quarantine(own, its.timekeeper.check()),
    "listens": lambda _, own, now: grants.close_stale_listens(now, own.entropy, own.faults),
    "sessions": lambda _its, _own, now: (
        users.drop_old_sessions(now - SESSIONS_KEPT),
        throttle.drop_old(now),
        account_links.drop_old(now),
    ),
    "logs": lambda its, own, _: checkpoint.sign_due(own, its.timekeeper.check()),
    "timestamps": lambda its, own, now: timestamping.stamp_due(own, its.witnesses.authority, now),
    "usage": lambda its, own, _: its.usage.count(its.timekeeper.check(), own.entropy, own.owner, own.faults),
    "disputes": lambda its, own, _: OutcomeDuty(own, its.outbox).drop_erased(its.timekeeper.check()),
    "dispute_copies": lambda _its, own, _now: copy_due(own),
    "rooms": lambda _its, _own, now: drop_rooms(milliseconds(now - ROOMS_KEPT)),
    "dispute_news": lambda its, own, now: NewsDuty(
        own, its.outbox, _presence(Rooms(own.now)), wants_dispute_mail
    ).tell_due(now),
    "notifications": lambda its, own, _: its.notifier.notify(own),
    "mail": lambda its, own, now: mail_witness.send_due(own, its.witnesses.server, now),
}
"""In their order, by name: each gets the worker's :class:`Duties`, their services, and the time when the turn
began."""

DUTIES: Final = (*_EACH_TURN, OUTGOING_MAIL)
"""The names of all duties; queued mail is sent by a thread of its own
(:mod:`recorder.processes.mail_delivery`)."""
