"""The worker's part: it counts the days that are over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.tables import lease
from recorder.catalogue.tenant_queries import log_sizes, readable_customers
from recorder.domain import time_zones
from recorder.fault_log import FaultLog
from recorder.features.usage.rules import last_midnight
from recorder.features.usage.service import count_due
from recorder.ids import Entropy
from recorder.isolation import isolate_object

EVERY: Final = timedelta(minutes=10)

LEASE: Final = "usage"


@dataclass
class UsageCounter:
    """Counts at most every ten minutes, in one worker for as long as it does, for the customers whose log has
    grown or whose day has ended."""

    _last: datetime | None = None
    _counted: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """Up to which size of the log, and which midnight, each customer was counted."""

    def count(self, now: datetime, entropy: Entropy, owner: str, faults: FaultLog) -> int:
        """Count what is due; returns the number of rows written. ``owner`` is this worker's name in
        leases. A customer whose calls cannot be counted is reported to ``faults`` and delays no other."""
        if self._last is not None and self._last <= now < self._last + EVERY:
            return 0
        count = 0
        with lease.turn(LEASE, owner, now, 2 * EVERY) as counts:
            if not counts:
                return 0
            sizes = log_sizes(faults)
            for tenant in readable_customers(faults):
                with isolate_object(faults, "usage.count_failed", tenant.id, tenant=tenant.id):
                    midnight = last_midnight(time_zones.display_zone(tenant.time_zone), now)
                    state = sizes.get(tenant.id, 0), midnight
                    if self._counted.get(tenant.id) != state:
                        count += count_due(tenant, now, entropy)
                        self._counted[tenant.id] = state
        self._last = now
        return count
