"""The worker's part: it tells customers' admins what has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.tables import lease
from recorder.catalogue.tenant_queries import log_sizes, readable_customers
from recorder.features.notifications import queries
from recorder.features.notifications.service import mail_due, update
from recorder.isolation import isolate_object
from recorder.mail.outbox import Outbox
from recorder.services import Services

EVERY: Final = timedelta(minutes=2)

UNCHANGED_EVERY: Final = timedelta(hours=1)
"""How often a customer is looked at whose log has not grown: reviews become due by time alone."""

LEASE: Final = "notifications"


@dataclass(frozen=True, slots=True)
class _Look:
    """When a customer was looked at and is to be again, how long their log was then, and since when no daemon
    watched a switch."""

    log_size: int
    away_since: datetime | None
    at: datetime
    until: datetime

    def is_enough(self, log_size: int, away_since: datetime | None, now: datetime) -> bool:
        """Whether nothing has happened since that calls for another look."""
        is_same = self.log_size == log_size and self.away_since == away_since
        return is_same and self.at <= now < self.until


@dataclass
class Notifier:
    """Looks at most every two minutes, in one worker for as long as it does, at the customers whose log has
    grown: each call that is listed, each line that is switched and each review is a leaf. Looks at all of
    them when no daemon watches a switch any more, and when one does again."""

    outbox: Outbox = field(default_factory=Outbox)
    _last: datetime | None = None
    _looks: dict[str, _Look] = field(default_factory=dict)

    def notify(self, services: Services) -> int:
        """Update the notifications, and queue mail about them; returns the number of mails. A customer whose
        rows cannot be read is reported and delays no other."""
        now = services.now()
        if self._last is not None and self._last <= now < self._last + EVERY:
            return 0
        mails = 0
        with lease.turn(LEASE, services.owner, now, lease.DURATION) as notifies:
            if not notifies:
                return 0
            self._update(services, now)
            unmailed = queries.tenants_with_unmailed()
            for tenant in readable_customers(services.faults) if unmailed else ():
                if tenant.id in unmailed:
                    with isolate_object(
                        services.faults, "notification.not_mailed", tenant.id, tenant=tenant.id
                    ):
                        mails += mail_due(tenant, self.outbox, services.trust, now, services.entropy)
                        services.boundary("notifications mailed")
        self._last = now
        return mails

    def _update(self, services: Services, now: datetime) -> None:
        sizes, away_since = log_sizes(services.faults), queries.recorder_away_since(now)
        for number, (tenant, size) in enumerate(sizes.items(), 1):
            last = self._looks.get(tenant)
            if last is not None and last.is_enough(size, away_since, now):
                continue
            with isolate_object(services.faults, "notification.update_failed", tenant, tenant=tenant):
                update(tenant, now, services.entropy, away_since)
                # At the start everybody is looked at; from then on, no more at once than necessary.
                share = number / len(sizes) if last is None else 1.0
                self._looks[tenant] = _Look(size, away_since, now, now + UNCHANGED_EVERY * share)
                services.boundary("notifications updated")
