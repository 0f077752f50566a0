"""Serves the panel from this process with gevent's pywsgi."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from typing import Any, Final

import gevent
import structlog
from flask import Flask
from gevent import signal_handler
from gevent.pool import Pool

from recorder.catalogue.change_messages import Listener
from recorder.errors import ConfigError
from recorder.features.rooms.service import CHANNEL
from web.connections import ConnectionLimiter
from web.proxies import TrustedProxies
from web.request_reader import LimitedServer, RequestHandler
from web.state import KEY

log = structlog.get_logger()

GRACE = 10.0
"""Seconds that requests in progress have to finish after SIGTERM."""

HEARTBEAT_INTERVAL = 0.5
"""Seconds between two heartbeats of the hub."""

MAX_CONNECTIONS = 1000
"""Open connections.  One more replaces the connection that has waited longest for its client."""

MAX_PER_NETWORK = 200
"""Open connections per address (IPv6: per /64), except from proxies."""

BUSY_RESERVE = 200
"""Connections beyond :data:`MAX_CONNECTIONS` while none of them is waiting for its client; further ones wait
to be accepted.  It exceeds the number accepted in one turn of the hub, in which dropped connections cannot
close."""

OTHER_FILES = 500
"""File descriptors that the panel needs beside its connections: catalogue, store, files being sent."""


class PanelServer(LimitedServer):
    """Serves one application with a limited number of connections."""

    handler_class = RequestHandler

    def __init__(self, address: tuple[str, int], app: Flask) -> None:
        most = _raise_file_limit(MAX_CONNECTIONS)
        self.limiter = ConnectionLimiter(most, MAX_PER_NETWORK, TrustedProxies(app.extensions[KEY].config))
        self._is_ending = False
        self._signals = app.extensions[KEY].signals
        # Without a pool of its own, the server would not wait for requests in progress when it stops.
        # No request log: the views log what matters.
        super().__init__(
            address, app, log=None, spawn=Pool(most + BUSY_RESERVE), environ={"SERVER_SOFTWARE": "accord"}
        )

    def end(self) -> None:
        """Stop accepting, close idle connections and let requests in progress finish; when called again, stop
        at once."""
        grace = 0.0 if self._is_ending else GRACE
        self._is_ending = True
        self._signals.close()
        self.close()
        self.limiter.end()
        self.stop(grace)

    def do_handle(self, sock: Any, address: Any) -> None:
        """Handle an accepted connection if the limiter admits it."""
        if self.limiter.admit(sock, str(address[0])):
            super().do_handle(sock, address)
        else:
            sock.close()

    def do_close(self, sock: Any, *args: Any) -> None:
        """Close a connection, whether or not it was handled."""
        self.limiter.remove(sock)
        super().do_close(sock, *args)


def _raise_file_limit(connections: int) -> int:
    """Raise the limit of open files for this many connections; returns how many the limit then allows."""
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


_PORT_HINTS: Final = {
    errno.EADDRINUSE: "another process has that port, which `ss -ltnp` names: end it, or change [web] port",
    errno.EADDRNOTAVAIL: "[web] host is no address of this machine",
    errno.EACCES: "[web] port is below 1024: choose a higher one, and let the reverse proxy have that one",
    errno.EPERM: "the unit allows the panel one port: name [web] port in its SocketBindAllow=",
}


def serve(
    app: Flask,
    host: str,
    port: int,
    *,
    ready: Callable[[int], None] | None = None,
    beat: Callable[[], object] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop listening, let requests in progress finish, and return.  A
    second signal aborts them.

    The caller has patched the standard library (``gevent.monkey.patch_all()``).  ``port`` 0 chooses a free
    port.  ``ready`` is called with the port once the server listens; from then on ``beat`` is called from the
    hub every :data:`HEARTBEAT_INTERVAL`.  Raises :class:`ConfigError` (``web.port``).
    """
    server = PanelServer((host, port), app)
    handlers = [signal_handler(number, server.end) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        server.start()
    except OSError as error:
        raise ConfigError(
            "web.port",
            f"the panel cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}",
            _PORT_HINTS.get(error.errno or 0, "check [web] host and port"),
        ) from error
    listener = Listener(CHANNEL, app.extensions[KEY].signals.receive)
    listener.start()
    bound_port = int(server.server_port or port)
    log.info("web.listening", host=host, port=bound_port)
    if ready is not None:
        ready(bound_port)
    heartbeat = gevent.spawn(_send_heartbeats, beat)
    try:
        server.serve_forever(stop_timeout=GRACE)
    finally:
        heartbeat.kill()
        listener.stop()
        app.extensions[KEY].refused.write()
        for handler in handlers:
            handler.cancel()
        log.info("web.stopped")


def _send_heartbeats(beat: Callable[[], object]) -> None:
    while True:
        beat()
        gevent.sleep(HEARTBEAT_INTERVAL)
