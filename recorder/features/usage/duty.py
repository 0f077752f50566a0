"""The worker's part: it counts the days that are over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.tables import lease
from recorder.catalogue.tenant_queries import customers, log_sizes
from recorder.domain import time_zones
from recorder.features.usage.rules import last_midnight
from recorder.features.usage.service import count_due
from recorder.ids import Entropy

EVERY: Final = timedelta(minutes=10)

LEASE: Final = "usage"


@dataclass
class UsageCounter:
    """Counts at most every ten minutes, in one worker for as long as it does, for the customers whose log has
    grown or whose day has ended."""

    _last: datetime | None = None
    _counted: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """Up to which size of the log, and which midnight, each customer was counted."""

    def count(self, now: datetime, entropy: Entropy, owner: str) -> int:
        """Count what is due; returns the number of rows written. ``owner`` is this worker's name in
        leases."""
        if self._last is not None and self._last <= now < self._last + EVERY:
            return 0
        count = 0
        with lease.turn(LEASE, owner, now, 2 * EVERY) as counts:
            if not counts:
                return 0
            sizes = log_sizes()
            for tenant in customers():
                state = sizes.get(tenant.id, 0), last_midnight(time_zones.display_zone(tenant.time_zone), now)
                if self._counted.get(tenant.id) != state:
                    count += count_due(tenant, now, entropy)
                    self._counted[tenant.id] = state
        self._last = now
        return count
