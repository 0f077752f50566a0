"""Limits the number of connections that have not been verified as the switch's yet.

Anybody who can reach the port may open as many as they like. Connections that certainly belong to another
user have a few places and are refused beyond them, so that the switch's own calls never wait behind them.
Of all others the one that has waited longest makes room, because the switch answers within milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STRANGERS: Final = 16
"""Places for connections of other users of this machine, such as a proxy."""

OTHERS: Final = 512
"""Places for all others: more than the calls that arrive at once, even after the daemon was stopped for a
while."""


def _nothing(_reason: str) -> None:
    """There is only a socket yet, which its greenlet closes."""


@dataclass(eq=False, slots=True)
class UnverifiedConnection:
    """One connection. ``owner`` is the user id of its peer, where it is known; ``close`` ends it, once
    there is something to end."""

    owner: int | None
    close: Callable[[str], object] = _nothing
    left: bool = False
    """Whether it had to make room."""


class UnverifiedConnections:
    """``stranger`` says of an owner whether it is certainly not the switch."""

    def __init__(
        self, stranger: Callable[[int | None], bool], *, strangers: int = STRANGERS, others: int = OTHERS
    ) -> None:
        self._stranger = stranger
        self._most = {True: strangers, False: others}
        self._waiting: dict[bool, dict[UnverifiedConnection, None]] = {True: {}, False: {}}

    def enter(self, visit: UnverifiedConnection) -> bool:
        """Return ``False`` where there is no place. A connection that has to make room is closed."""
        strange = self._stranger(visit.owner)
        waiting = self._waiting[strange]
        if len(waiting) >= self._most[strange]:
            if strange:
                return False
            oldest = next(iter(waiting))
            del waiting[oldest]
            oldest.left = True
            oldest.close("too many wait")
        waiting[visit] = None
        return True

    def leave(self, visit: UnverifiedConnection) -> None:
        """The connection is verified, or has ended. Idempotent."""
        for waiting in self._waiting.values():
            waiting.pop(visit, None)

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())
