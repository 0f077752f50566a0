"""Refused log-ins, on their way into the customers' logs.

Only what was tried for a log-in that there is becomes a leaf.  It is written a few seconds later, at a moment
that is left to chance and on nobody's connection: how long an answer takes, or the next one, tells nobody
which log-ins there are.
"""

from __future__ import annotations

from datetime import datetime

import gevent
import structlog
from gevent.monkey import is_module_patched
from peewee import PeeweeException

from recorder.catalogue.records import UserRow
from recorder.errors import AccordError
from recorder.identity import users
from recorder.ids import Entropy

log = structlog.get_logger()

MIN_DELAY = 2.0
"""Seconds after the answer at least, and up to four times as many."""

MAX_PENDING = 1000
"""That wait at a time: of each person one in five minutes is written anyway."""


class LoginRefusals:
    """Those of this process that are not in the log yet."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._waiting: dict[str, tuple[UserRow, datetime]] = {}

    def note(self, tried: UserRow, at: datetime) -> None:
        """Somebody gave a wrong password for a log-in that there is."""
        if len(self._waiting) < MAX_PENDING:
            self._waiting.setdefault(tried.id, (tried, at))
        if is_module_patched("socket"):
            by_chance = int.from_bytes(self._entropy(2), "big") / 65536
            gevent.spawn_later(MIN_DELAY * (1 + 3 * by_chance), self.write)

    def write(self) -> None:
        """Write down what waits."""
        waiting, self._waiting = self._waiting, {}
        for tried, at in waiting.values():
            try:
                users.note_refused_log_in(tried, at, self._entropy)
            except (AccordError, PeeweeException) as error:
                log.error("web.login_not_recorded", user=tried.id, error=str(error))
