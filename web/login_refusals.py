"""Refused log-ins waiting to be written to the customers' audit logs.

Only attempts at existing log-ins become leaves.  Each is written a few seconds later, at a random moment and
outside the request, so that response times do not reveal which log-ins exist.
"""

from __future__ import annotations

import os
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
"""Shortest delay after the response, in seconds; the longest is four times that."""

MAX_PENDING = 1000
"""Refusals that can be pending.  More would add little: one per user and five minutes is written."""


class LoginRefusals:
    """The refusals of this process that are not in the log yet."""

    def __init__(self, entropy: Entropy = os.urandom) -> None:
        self._entropy = entropy
        self._pending: dict[str, tuple[UserRow, datetime]] = {}

    def note(self, user: UserRow, at: datetime) -> None:
        """Record a wrong password for an existing log-in."""
        if len(self._pending) < MAX_PENDING:
            self._pending.setdefault(user.id, (user, at))
        if is_module_patched("socket"):
            fraction = int.from_bytes(self._entropy(2), "big") / 65536
            gevent.spawn_later(MIN_DELAY * (1 + 3 * fraction), self.write)

    def write(self) -> None:
        """Write all pending refusals."""
        pending, self._pending = self._pending, {}
        for user, at in pending.values():
            try:
                users.note_refused_log_in(user, at, self._entropy)
            except (AccordError, PeeweeException) as error:
                log.error("web.login_not_recorded", user=user.id, error=str(error))
