"""The worker's duties beside the takes, once a minute: it erases what has expired, drops what nobody needs,
and signs the logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from recorder import metrics
from recorder.auditlog import checkpoint, mail_witness, timestamping
from recorder.features.disputes.copies import copy_due
from recorder.features.disputes.duty import OutcomeDuty
from recorder.features.fleet.service import report_node
from recorder.features.notifications.duty import Notifier
from recorder.features.offboarding.duty import erase_due
from recorder.features.rooms.service import drop_rooms, milliseconds
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

DUTIES: Final = (
    "fleet", "amendments", "limits", "holds", "outcomes", "recordings", "leaving", "quarantine", "listens",
    "sessions", "logs", "timestamps", "mail", "usage", "notifications", "disputes", "dispute_copies", "rooms",
    OUTGOING_MAIL,
)  # fmt: skip

"""The names of all duties; queued mail is sent by a thread of its own
(:mod:`recorder.processes.mail_delivery`)."""

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

    def keep(self) -> None:
        """Run every duty; one that fails is counted and repeated the next time. A failure about one customer
        or object concerns no other (:mod:`recorder.isolation`)."""
        services, now, trusted_now = self.services, self.services.now(), self.timekeeper.check
        store, root, trust, entropy = services.store, services.root, services.trust, services.entropy
        duties: dict[str, Callable[[], object]] = {
            "fleet": lambda: report_node(
                measure_node(
                    self.node, services.spool, services.now(), key_id(services.root), services.keyring.ids()
                )
            ),
            "amendments": lambda: amendment_recovery.list_pending(
                store, root, now, entropy, services.revoked, services.faults
            ),
            "limits": lambda: (
                retention_limits.finish_pending(store, trust, now, entropy, faults=services.faults),
                limit_application.apply_limits(store, root, now, services.revoked, services.faults),
            ),
            "holds": lambda: self.reminders.remind(services.now(), services.faults),
            # What both sides agreed on is sealed before anything is erased.
            "outcomes": lambda: OutcomeDuty(services, self.outbox).record_due(trusted_now()),
            "recordings": lambda: expiry.destroy_due(services, trusted_now()),
            "leaving": lambda: erase_due(services, trusted_now()),
            "quarantine": lambda: expiry.empty_quarantine(services, trusted_now()),
            "listens": lambda: grants.close_stale_listens(now, entropy, services.faults),
            "sessions": lambda: (
                users.drop_old_sessions(now - SESSIONS_KEPT),
                throttle.drop_old(now),
                account_links.drop_old(now),
            ),
            "logs": lambda: checkpoint.sign_due(services, trusted_now()),
            "timestamps": lambda: timestamping.stamp_due(services, self.witnesses.authority, now),
            "usage": lambda: self.usage.count(trusted_now(), entropy, services.owner, services.faults),
            "disputes": lambda: OutcomeDuty(services, self.outbox).drop_erased(trusted_now()),
            "dispute_copies": lambda: copy_due(services),
            "rooms": lambda: drop_rooms(milliseconds(now - ROOMS_KEPT)),
            "notifications": lambda: self.notifier.notify(services),
            "mail": lambda: mail_witness.send_due(services, self.witnesses.server, now),
        }
        for name, duty in duties.items():
            try:
                duty()
            except Exception as error:
                # Whatever it is, it must not end the others' turn.
                metrics.DUTY_FAILURES.labels(name).inc()
                report_failure(services.faults, "duty.delayed", error, name, duty=name)
            else:
                services.faults.recover("duty.delayed", name, duty=name)
                metrics.DUTY_DONE.labels(name).set(services.now().timestamp())
