"""A socket in the spool, for processes of the daemon's own user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gevent import socket

from recorder.domain.live_command import socket_path

MODE: Final = 0o600
"""Who may connect: the daemon's own user, which is also the worker's. The switch's user is in the spool's
group, and has nothing to ask."""


def listen(spool: Path, name: str, backlog: int) -> socket.socket:
    """Listen there; the spool's daemon is the only one, and replaces the socket of one that is gone.
    Raises ``OSError``."""
    server = socket.socket(socket.AF_UNIX)
    try:
        (spool / name).unlink(missing_ok=True)
        os.fchmod(server.fileno(), MODE)  # before it has a name under which anybody could connect
        with socket_path(spool, name) as short:
            server.bind(short)
        server.listen(backlog)
    except OSError:
        server.close()
        raise
    return server
