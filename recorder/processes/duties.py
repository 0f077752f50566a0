"""What the worker does once a minute beside takes: destroys what is over, forgets what nobody needs, signs
the logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from peewee import PeeweeException

from recorder import metrics
from recorder.auditlog import checkpoint, mail_witness, timestamping
from recorder.auditlog.mail_witness import MailServer
from recorder.auditlog.timestamping import Authority
from recorder.clock import Now, to_iso
from recorder.errors import AccordError
from recorder.features.offboarding import erasure
from recorder.identity import throttle, users
from recorder.lifecycle import amendment_recovery, amendments, expiry, limit_application, retention_limits
from recorder.lifecycle.clock_guard import Timekeeper
from recorder.lifecycle.statements import Statements
from recorder.playback import grants
from recorder.seal.revocation import Trust

DUTIES: Final = (
    "amendments", "limits", "holds", "recordings", "leaving", "quarantine", "listens", "sessions", "logs",
    "timestamps", "mail",
)  # fmt: skip

SESSIONS_KEPT: Final = timedelta(days=30)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CheckpointWitnesses:
    """Where what was signed of the logs goes besides the bucket."""

    authority: Authority | None = None
    server: MailServer | None = None


@dataclass(frozen=True, slots=True)
class Duties:
    """``means`` destroy, ``signing`` signs; ``timekeeper`` says whether the clock can be believed that says
    what is over, and when something was signed; ``backups_end_after`` is how long a copy of catalogue and
    bucket is kept."""

    spool: Path
    means: expiry.ErasureDeps
    signing: checkpoint.CheckpointDeps
    outward: CheckpointWitnesses
    timekeeper: Timekeeper
    now: Now
    backups_end_after: timedelta = timedelta(days=30)
    told: dict[str, date] = field(default_factory=dict)
    """Holds that the log said are to be looked at again, and on which day."""

    def keep(self) -> None:
        """Do every duty; one that cannot be done now is logged and counted, and done the next time."""
        now = self.now()
        means = self.means
        duties: dict[str, Callable[[], object]] = {
            "amendments": lambda: amendment_recovery.finish(
                means.store, means.root, now, means.entropy, means.revoked
            ),
            "limits": lambda: self._limits(now),
            "holds": self._remind,
            "recordings": lambda: expiry.destroy_due(self.means, self.timekeeper.check()),
            "leaving": lambda: erasure.erase_due(
                erasure.OffboardingDeps(self.means, self.signing, self.backups_end_after),
                self.timekeeper.check(),
            ),
            "quarantine": lambda: expiry.empty_quarantine(
                self.spool,
                self.timekeeper.check(),
                means.entropy,
                Statements(means.store, means.root, means.revoked),
            ),
            "listens": lambda: grants.close_stale_listens(now, self.means.entropy),
            "sessions": lambda: (users.drop_old_sessions(now - SESSIONS_KEPT), throttle.drop_old(now)),
            "logs": lambda: checkpoint.keep(self.signing, self.timekeeper.check()),
            "timestamps": lambda: timestamping.keep(self.signing, self.outward.authority, now),
            "mail": lambda: mail_witness.keep(self.signing, self.outward.server, now),
        }
        for name, duty in duties.items():
            try:
                duty()
            except (AccordError, OSError, PeeweeException) as error:
                metrics.HOUSEKEEPING_FAILURES.labels(name).inc()
                log.warning("housekeeping.waits", duty=name, error=str(error))
            else:
                metrics.HOUSEKEEPING_DONE.labels(name).set(self.now().timestamp())

    def _limits(self, now: datetime) -> None:
        """Finish retention limits that somebody died over, and let every row follow from those that count."""
        means = self.means
        retention_limits.finish(means.store, Trust(means.root, means.revoked), now, means.entropy)
        limit_application.settle(means.store, means.root, now, means.revoked)

    def _remind(self) -> None:
        """Say once a day which holds are to be looked at again."""
        now, held = self.now(), {}
        for each in amendments.holds():
            if each.review_at > now:
                continue
            name = f"{each.recording}/{each.number}"
            held[name] = now.date()
            if self.told.get(name) != now.date():
                log.warning(
                    "hold.to_be_looked_at",
                    tenant=each.tenant,
                    recording=each.recording,
                    hold=each.number,
                    since=to_iso(each.since),
                    review_at=to_iso(each.review_at),
                    hint="lift it, or set another one: `accord hold list`",
                )
        self.told.clear()
        self.told.update(held)
