"""The worker's part: it tells customers' admins what has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.tables import lease
from recorder.catalogue.tenant_queries import customers
from recorder.features.notifications.service import mail_due, update
from recorder.mail.outbox import Outbox
from recorder.services import Services

EVERY: Final = timedelta(minutes=2)

LEASE: Final = "notifications"


@dataclass
class Notifier:
    """Looks at most every two minutes, for all customers, in one worker at a time."""

    outbox: Outbox = field(default_factory=Outbox)
    _last: datetime | None = None

    def notify(self, services: Services) -> int:
        """Update the notifications, and queue mail about them; returns the number of mails."""
        now = services.now()
        if self._last is not None and self._last <= now < self._last + EVERY:
            return 0
        if not lease.take(LEASE, services.owner, now):
            return 0
        mails = 0
        try:
            for tenant in customers():
                update(tenant.id, now, services.entropy)
                services.boundary("notifications updated")
                mails += mail_due(tenant, self.outbox, services.trust, now, services.entropy)
                services.boundary("notifications mailed")
        finally:
            lease.release(LEASE, services.owner)
        self._last = now
        return mails
