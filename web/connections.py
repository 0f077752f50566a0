"""The connections that are open, and who goes when there are too many: whoever has waited longest for its
client to say or take something.

A connection that waits for a request goes before one that waits for the rest of it, and that one before one
whose client takes no more of its answer: a player that has been paused.  One that we are working for never
goes.
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
"""What a client is waited for, in the order in which connections go."""


class ConnectionLimiter:
    """``most`` connections in all; of one network ``share``, but of those ``without`` (a proxy's)."""

    def __init__(self, most: int, share: int, without: Container[str] = ()) -> None:
        self._most, self._share, self._without = most, share, without
        self._open: dict[Any, str] = {}
        self._of: Counter[str] = Counter()
        # In the order in which they began to wait.
        self._waiting: dict[str, dict[Any, None]] = {what: {} for what in WAITS}

    def comes(self, sock: Any, address: str) -> bool:
        """Make room for a connection that was accepted; false where its network has its share, and each of
        those is being worked for."""
        of = network(address)
        shares = address not in self._without
        if shares and self._of[of] >= self._share and not self._drop(of):
            return False
        if len(self._open) >= self._most:
            self._drop(None)
        self._open[sock] = of
        self._of[of] += 1
        return True

    def leaves(self, sock: Any) -> None:
        """A connection is over.  Saying so twice changes nothing."""
        of = self._open.pop(sock, None)
        if of is None:
            return
        self._of[of] -= 1
        if not self._of[of]:
            del self._of[of]

    @contextmanager
    def waits(self, what: str, sock: Any) -> Iterator[None]:
        """While the client of a connection is waited for."""
        self._waiting[what][sock] = None
        try:
            yield
        finally:
            self._waiting[what].pop(sock, None)

    def end(self) -> None:
        """Close all that wait for a request."""
        for sock in list(self._waiting["request"]):
            self._close(sock)

    def _drop(self, of: str | None) -> bool:
        """Close the one that has waited longest, of a network; false where none waits."""
        for what in WAITS:
            for sock in self._waiting[what]:
                if what == "request" and _has_data(sock):
                    continue  # its request is there, and a busy panel has not come to it yet
                if of is None or self._open.get(sock) == of:
                    log.debug("web.connection_dropped", network=self._open.get(sock), waited_for=what)
                    self._close(sock)
                    return True
        return False

    def _close(self, sock: Any) -> None:
        """As if the client had gone: whoever waits for it hears so, and leaves."""
        for waiting in self._waiting.values():
            waiting.pop(sock, None)
        self.leaves(sock)
        with suppress(OSError):  # it has gone by itself
            sock.shutdown(socket.SHUT_RDWR)


def _has_data(sock: Any) -> bool:
    """Whether something that the client said is unread."""
    # Not by poll(): gevent's goes on with others meanwhile.
    return any(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)))
