"""Free ports for servers that tests start, from a range that other workers of the run do not use."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack


def free_ports(count: int = 1) -> int:
    """The first of ``count`` consecutive free TCP ports on loopback."""
    start = 21000 + os.getpid() * 16 % 9000
    for first in range(start, start + 1600, count):
        with ExitStack() as sockets:
            try:
                for port in range(first, first + count):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no ports are free")
