"""Serves the panel from this process, with gevent."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from flask import Flask
from gevent import signal_handler
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from web.handling import Handler

log = structlog.get_logger()

GRACE = 10.0
"""Seconds that answers under way have to end after SIGTERM."""

BEAT = 0.5
"""Seconds between two heartbeats of the hub."""

CONNECTIONS = 1000
"""At a time; more wait to be accepted."""


class Server(WSGIServer):
    """Serves one application; knows which connections only wait."""

    handler_class = Handler

    def __init__(self, address: tuple[str, int], app: Flask) -> None:
        self.waiting: set[Any] = set()
        self._ending = False
        # Without a pool of its own the server would not wait for anybody when it stops.  Requests are
        # logged by the rooms that answer them.
        super().__init__(
            address, app, log=None, spawn=Pool(CONNECTIONS), environ={"SERVER_SOFTWARE": "accord"}
        )

    def end(self) -> None:
        """Accept nobody, let what is under way end, close what waits; when called again, end now."""
        grace = 0.0 if self._ending else GRACE
        self._ending = True
        self.close()
        gevent.killall(list(self.waiting), block=False)
        self.stop(grace)


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
    server = Server((host, port), app)
    handlers = [signal_handler(number, server.end) for number in (signal.SIGTERM, signal.SIGINT)]
    server.start()
    taken = int(server.server_port or port)
    log.info("web.listening", host=host, port=taken)
    if ready is not None:
        ready(taken)
    beating = gevent.spawn(_keep_beating, beat)
    try:
        server.serve_forever(stop_timeout=GRACE)
    finally:
        beating.kill()
        for handler in handlers:
            handler.cancel()
        log.info("web.stopped")


def _keep_beating(beat: Callable[[], object]) -> None:
    while True:
        beat()
        gevent.sleep(BEAT)
