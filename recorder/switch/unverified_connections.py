"""Limits the number of connections that are not yet verified as the switch's.

Any process that can reach the port may open any number of connections. Connections of other users of this
machine have a few places and are refused beyond them, so that the switch's own calls never wait behind them.
Of all others the oldest is evicted, because the switch answers within milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STRANGERS: Final = 16
"""Places for connections of other users of this machine, such as a proxy."""

OTHERS: Final = 512
"""Places for all others: more than the number of calls that arrive at once, even after the daemon was stopped
for a while."""


def _no_session(_reason: str) -> None:
    """There is no session yet; the connection's greenlet closes the socket."""


@dataclass(eq=False, slots=True)
class UnverifiedConnection:
    """One connection. ``owner`` is the peer's user id, if known; ``close`` ends the session, once there is
    one."""

    owner: int | None
    close: Callable[[str], object] = _no_session
    evicted: bool = False


class UnverifiedConnections:
    """``is_stranger`` says whether an owner is certainly not the switch's user."""

    def __init__(
        self, is_stranger: Callable[[int | None], bool], *, strangers: int = STRANGERS, others: int = OTHERS
    ) -> None:
        self._is_stranger = is_stranger
        self._limits = {True: strangers, False: others}
        self._connections: dict[bool, dict[UnverifiedConnection, None]] = {True: {}, False: {}}

    def enter(self, connection: UnverifiedConnection) -> bool:
        """Add a connection; return ``False`` if it finds no place. An evicted connection is closed."""
        stranger = self._is_stranger(connection.owner)
        connections = self._connections[stranger]
        if len(connections) >= self._limits[stranger]:
            if stranger:
                return False
            oldest = next(iter(connections))
            del connections[oldest]
            oldest.evicted = True
            oldest.close("too many wait")
        connections[connection] = None
        return True

    def leave(self, connection: UnverifiedConnection) -> None:
        """Remove a connection that is verified or has ended. Idempotent."""
        for connections in self._connections.values():
            connections.pop(connection, None)

    def __len__(self) -> int:
        return sum(len(connections) for connections in self._connections.values())
