"""Free ports for servers that tests start. No port is given out twice while its process lives."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

FIRST = 21000
COUNT = 9000
"""Below the ports of connections."""

_reservations: list[ExitStack] = []


def free_ports(count: int = 1) -> int:
    """The first of ``count`` consecutive free TCP ports on loopback.

    They stay reserved until this process ends: a server binds its ports later than they are chosen, and
    another test worker could choose them in between.
    """
    folder = Path(tempfile.gettempdir()) / f"accord-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    start = os.getpid() * 16 % COUNT
    for offset in range(0, COUNT, count):
        first = FIRST + (start + offset) % COUNT
        with ExitStack() as locks, ExitStack() as sockets:
            try:
                for port in range(first, first + count):
                    lock = locks.enter_context((folder / str(port)).open("a"))
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            _reservations.append(locks.pop_all())
            return first
    raise RuntimeError("no ports are free")
