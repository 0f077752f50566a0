"""Limits open connections.  At the limit, the connection that has waited longest for its client is closed.

Connections waiting for a request are closed first, then those waiting for the rest of one, then those whose
client does not read the response (a paused player).  A connection whose request is being processed is never
closed.
"""

from __future__ import annotations

import fcntl
import socket
import termios
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from web.proxies import network

log = structlog.get_logger()

WAITS = ("request", "rest", "taking")
"""What a connection waits for: a request, the rest of one, or the client reading the response.  Connections
are closed in this order."""


class ConnectionLimiter:
    """Allows ``most`` connections in total and ``share`` per network; the addresses in ``without`` (proxies)
    have no share."""

    def __init__(self, most: int, share: int, without: Container[str] = ()) -> None:
        self._most, self._share, self._without = most, share, without
        self._open: dict[Any, str] = {}
        self._of: Counter[str] = Counter()
        # In the order in which they began to wait.
        self._waits: dict[str, dict[Any, None]] = {what: {} for what in WAITS}

    def admit(self, sock: Any, address: str) -> bool:
        """Admit an accepted connection, closing a waiting one if necessary; false if its network has reached
        its share and none of its connections is waiting."""
        of = network(address)
        shares = address not in self._without
        if shares and self._of[of] >= self._share and not self._drop(of):
            return False
        if len(self._open) >= self._most:
            self._drop(None)
        self._open[sock] = of
        self._of[of] += 1
        return True

    def remove(self, sock: Any) -> None:
        """Forget a closed connection.  Idempotent."""
        of = self._open.pop(sock, None)
        if of is None:
            return
        self._of[of] -= 1
        if not self._of[of]:
            del self._of[of]

    @contextmanager
    def mark_waiting(self, what: str, sock: Any) -> Iterator[None]:
        """Marks a connection as waiting for its client; ``what`` is one of :data:`WAITS`."""
        self._waits[what][sock] = None
        try:
            yield
        finally:
            self._waits[what].pop(sock, None)

    def end(self) -> None:
        """Close all connections that wait for a request."""
        for sock in list(self._waits["request"]):
            self._close(sock)

    def _drop(self, of: str | None) -> bool:
        """Close the connection that has waited longest, of one network or of all (``None``); false if none is
        waiting."""
        for what in WAITS:
            for sock in self._waits[what]:
                if what == "request" and _has_data(sock):
                    continue  # its request has arrived, but a busy panel has not read it yet
                if of is None or self._open.get(sock) == of:
                    log.debug("web.connection_dropped", network=self._open.get(sock), waited_for=what)
                    self._close(sock)
                    return True
        return False

    def _close(self, sock: Any) -> None:
        """Shut the socket down, as if the client had disconnected: its greenlet then ends by itself."""
        for sockets in self._waits.values():
            sockets.pop(sock, None)
        self.remove(sock)
        with suppress(OSError):  # already closed
            sock.shutdown(socket.SHUT_RDWR)


def _has_data(sock: Any) -> bool:
    """Whether unread bytes have arrived."""
    # Not with poll(): gevent's would switch to other greenlets.
    return any(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)))
