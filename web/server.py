"""Serves the panel from this process, with gevent."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from flask import Flask
from gevent import signal_handler
from gevent.pool import Pool

from web.connections import ConnectionLimiter
from web.proxies import TrustedProxies
from web.request_reader import LimitedServer, RequestHandler
from web.state import KEY

log = structlog.get_logger()

GRACE = 10.0
"""Seconds that answers under way have to end after SIGTERM."""

HEARTBEAT_INTERVAL = 0.5
"""Seconds between two heartbeats of the hub."""

MAX_CONNECTIONS = 1000
"""At a time.  One more takes the place of the one that has waited longest for its client."""

MAX_PER_NETWORK = 200
"""Connections of one address (of IPv6: one /64) at a time, where it is no proxy's."""

BUSY_RESERVE = 200
"""Connections beyond :data:`MAX_CONNECTIONS` where none of them waits for its client; more wait to be
accepted.  More than the server accepts in one turn of the hub, in which nobody who was dropped can leave."""

OTHER_FILES = 500
"""Files that the panel has open beside its connections: catalogue, store, what it sends."""


class PanelServer(LimitedServer):
    """Serves one application; knows which connections only wait."""

    handler_class = RequestHandler

    def __init__(self, address: tuple[str, int], app: Flask) -> None:
        most = _raise_file_limit(MAX_CONNECTIONS)
        self.crowd = ConnectionLimiter(most, MAX_PER_NETWORK, TrustedProxies(app.extensions[KEY].config))
        self._ending = False
        # Without a pool of its own the server would not wait for anybody when it stops.  Requests are
        # logged by the rooms that answer them.
        super().__init__(
            address, app, log=None, spawn=Pool(most + BUSY_RESERVE), environ={"SERVER_SOFTWARE": "accord"}
        )

    def end(self) -> None:
        """Accept nobody, let what is under way end, close what waits; when called again, end now."""
        grace = 0.0 if self._ending else GRACE
        self._ending = True
        self.close()
        self.crowd.end()
        self.stop(grace)

    def do_handle(self, sock: Any, address: Any) -> None:
        """A connection was accepted."""
        if self.crowd.comes(sock, str(address[0])):
            super().do_handle(sock, address)
        else:
            sock.close()

    def do_close(self, sock: Any, *args: Any) -> None:
        """It is over, or was never begun."""
        self.crowd.leaves(sock)
        super().do_close(sock, *args)


def _raise_file_limit(connections: int) -> int:
    """How many of these connections this process may have, after it has asked for the files they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + BUSY_RESERVE + OTHER_FILES
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        log.warning(
            "web.descriptor_limit_low",
            files=soft,
            wanted=needed,
            hint=f"LimitNOFILE={needed}, or ulimit -n {needed}",
        )
    return max(10, min(connections, soft - BUSY_RESERVE - OTHER_FILES))


def serve(
    app: Flask,
    host: str,
    port: int,
    *,
    ready: Callable[[int], None] | None = None,
    beat: Callable[[], object] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop listening, let what is under way end, and return; a second
    one breaks off what is under way.

    The caller has patched the standard library (``gevent.monkey.patch_all()``).  ``port`` 0 takes a free
    one; ``ready`` is called with the port once it listens, ``beat`` from the hub twice a second from then
    on, until the end.  Raises ``OSError`` where it is taken.
    """
    server = PanelServer((host, port), app)
    handlers = [signal_handler(number, server.end) for number in (signal.SIGTERM, signal.SIGINT)]
    server.start()
    taken = int(server.server_port or port)
    log.info("web.listening", host=host, port=taken)
    if ready is not None:
        ready(taken)
    beating = gevent.spawn(_send_heartbeats, beat)
    try:
        server.serve_forever(stop_timeout=GRACE)
    finally:
        beating.kill()
        app.extensions[KEY].refused.write()
        for handler in handlers:
            handler.cancel()
        log.info("web.stopped")


def _send_heartbeats(beat: Callable[[], object]) -> None:
    while True:
        beat()
        gevent.sleep(HEARTBEAT_INTERVAL)
