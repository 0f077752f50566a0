"""A Unix socket in the spool, for processes of the daemon's own user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gevent import socket

from recorder.spool.command_socket import socket_path

MODE: Final = 0o600
"""Only the daemon's own user, which is also the worker's, may connect. The switch's user is in the spool's
group and must not."""


def listen(spool: Path, name: str, backlog: int) -> socket.socket:
    """Listen on the socket ``name`` in the spool. Only the daemon that holds the spool does, so an existing
    socket is stale and is replaced. Raises ``OSError``."""
    server = socket.socket(socket.AF_UNIX)
    try:
        (spool / name).unlink(missing_ok=True)
        os.fchmod(server.fileno(), MODE)  # before the socket has a name and anybody could connect
        with socket_path(spool, name) as short:
            server.bind(short)
        server.listen(backlog)
    except OSError:
        server.close()
        raise
    return server
