"""A daemon that runs out of file descriptors."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.admission import ANSWER

# In a separate process, because the limit applies to a process.
DAEMON = """
    import os, resource, gevent
    from recorder.switch.outbound_socket import OutboundSocket
    from tests.admission import OpenAdmission

    served = []
    def on_call(arrival, session):
        served.append(arrival.channel)
        session.closed.wait()
    dialplan = OutboundSocket("127.0.0.1", 0, on_call, OpenAdmission())
    print(dialplan.bind(), flush=True)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, used + 10))
    gevent.spawn(dialplan.serve)
    with gevent.Timeout(30):
        while len(served) < 30:
            gevent.sleep(0.01)
    print("served", len(served), flush=True)
"""
DATA = (
    b"Unique-ID: u\nvariable_accord_line: 32\nContent-Type: command/reply\nReply-Text: %2BOK%0A\n\n" + ANSWER
)
ROOT = Path(__file__).parents[3]


def test_accepts_waiting_calls_once_descriptors_are_free() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DAEMON)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as daemon:
        assert daemon.stdout is not None
        port = int(daemon.stdout.readline())
        callers = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(30)]
        for caller in callers:
            caller.sendall(DATA)
        # Some are served and the others wait: the daemon logs that it cannot accept them.
        assert "switch.accept_failed" in daemon.stdout.readline()
        for caller in callers:
            caller.recv(100)  # "connect": it was accepted
            caller.close()
        rest = daemon.stdout.read()
    assert rest.splitlines()[-1:] == ["served 30"]
