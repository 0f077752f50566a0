"""Keeps tests from servers that they did not start: a switch on this machine, or ``make run`` in another
window, listens where Accord looks unless told otherwise."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from recorder import config

USUAL_PORTS: Final = frozenset(
    {
        config.SwitchSettings().port,
        config.SwitchSettings().listen_port,
        config.StoreSettings().embedded_port,
        config.WebSettings().port,
        config.MetricsSettings().daemon_port,
        config.MetricsSettings().worker_port,
        config.MetricsSettings().web_port,
    }
)
"""Where Accord's settings look if nobody sets them."""


def refuse_foreign_servers(ports: frozenset[int] = USUAL_PORTS) -> None:
    """From now on, refuse this process's connections to ``ports`` where a process listens that neither this
    one nor its parent started, as if nobody listened."""

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.connect":
            return
        address = arguments[1]
        if isinstance(address, tuple) and address[1] in ports and is_foreign(address[1]):
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"no test started what listens on {address[1]}")

    sys.addaudithook(check)


def is_foreign(port: int) -> bool:
    """Whether a process listens on a TCP port that is no descendant of the tests'."""
    sockets = _listening_sockets(port)
    listeners = [int(each) for each in os.listdir("/proc") if each.isdecimal() and sockets & _sockets(each)]
    return bool(sockets) and not any(_is_descendant(pid) for pid in listeners)


def _listening_sockets(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _sockets(pid: str) -> set[str]:
    found = set()
    with suppress(OSError):
        for each in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{each}"))
    return found


def _is_descendant(pid: int) -> bool:
    """Whether a process is this one, or was started by it, or by the process that started it: pytest's, which
    has a worker for each processor."""
    tests = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    with suppress(OSError):
        while pid > 1:
            if pid == tests:
                return True
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False
