"""Serves the panel from this process, with gevent."""

from __future__ import annotations

import signal
from collections.abc import Callable

import structlog
from flask import Flask
from gevent import signal_handler
from gevent.pywsgi import WSGIServer

log = structlog.get_logger()

GRACE = 10.0
"""Seconds that answers under way have to end after SIGTERM."""


def serve(app: Flask, host: str, port: int, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop listening, let what is under way end, and return.

    The caller has patched the standard library (``gevent.monkey.patch_all()``).  ``port`` 0 takes a free
    one; ``ready`` is called with the port once it listens.  Raises ``OSError`` where it is taken.
    """
    # Requests are logged by the app (with who and how long), not by the server.
    server = WSGIServer((host, port), app, log=None, environ={"SERVER_SOFTWARE": "accord"})
    handlers = [signal_handler(number, server.stop, GRACE) for number in (signal.SIGTERM, signal.SIGINT)]
    server.start()
    taken = int(server.server_port or port)
    log.info("web.listening", host=host, port=taken)
    if ready is not None:
        ready(taken)
    try:
        server.serve_forever(stop_timeout=GRACE)
    finally:
        for handler in handlers:
            handler.cancel()
        log.info("web.stopped")
