"""The worker's part: it counts the days that are over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.tenant_queries import customers
from recorder.features.usage.service import count_due
from recorder.ids import Entropy

EVERY: Final = timedelta(minutes=10)


@dataclass
class UsageCounter:
    """Counts at most every ten minutes, for all customers. Several workers may do so at once."""

    _last: datetime | None = None

    def count(self, now: datetime, entropy: Entropy) -> int:
        """Count what is due; returns the number of rows written."""
        if self._last is not None and self._last <= now < self._last + EVERY:
            return 0
        count = sum(count_due(tenant, now, entropy) for tenant in customers())
        self._last = now
        return count
