"""A program that connects to the daemon's port for calls and answers as FreeSWITCH would.

    python -m tests.forged_switch PORT CHANNEL [--state S] [--line L] [--uid U] [--times N]

It knows only what any user of the machine can find out: the port, a recorded number, the format of
FreeSWITCH's messages.  It prints the commands that it received, one JSON document per connection.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CALLER = "+32470999999"
"""The caller that the forger claims."""


def data(channel: str, line: str, state: str, direction: str = "inbound") -> bytes:
    """A forged answer to ``connect``."""
    words = [
        "Event-Name: CHANNEL_DATA",
        f"Unique-ID: {channel}",
        f"Call-Direction: {direction}",
        f"Caller-Caller-ID-Number: {CALLER.replace('+', '%2B')}",
        f"variable_accord_line: {line.replace('+', '%2B')}",
        f"variable_accord_state: {state}",
    ]
    if direction == "outbound":
        words += ["variable_accord_direction: outbound", f"variable_accord_callee: {CALLER[1:]}"]
    words += ["Content-Type: command/reply", "Reply-Text: %2BOK%0A", "Socket-Mode: async", "Control: full"]
    return "\n".join(words).encode() + b"\n\n"


def api(body: str) -> bytes:
    """An answer to an ``api`` command."""
    return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body.encode())


OK = b"Content-Type: command/reply\nReply-Text: +OK\n\n"


def forge(port: int, channel: str, line: str, state: str, direction: str, patience: float) -> list[str]:
    """Answer everything as a switch would until the other side closes; returns the commands received."""
    commands: list[str] = []
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as sock:
        rest, end = b"", time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                piece = sock.recv(65536)
            except OSError:
                break
            if not piece:
                break
            rest += piece
            while b"\n\n" in rest:
                command, rest = rest.split(b"\n\n", 1)
                commands.append(command.decode())
                try:
                    sock.sendall(_answer(commands[-1], channel, line, state, direction))
                except OSError:
                    return commands
    return commands


def _answer(command: str, channel: str, line: str, state: str, direction: str) -> bytes:
    if command == "connect":
        return data(channel, line, state, direction)
    if command.startswith("api global_getvar"):
        return api("0" * 64)
    return api("+OK") if command.startswith("api") else OK


def hold(port: int, times: int) -> None:
    """Open ``times`` connections, at most nine hundred at once, and send nothing on them, until standard
    input ends; prints a line at the start, and when all have been opened."""
    sockets: list[socket.socket] = []
    opened = 0
    print("begins", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        sockets = [sock for sock in sockets if not _closed(sock)]
        while len(sockets) < 900 and opened < times:
            try:
                sockets.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                sockets[-1].setblocking(False)
            except OSError:
                break
            opened += 1
            if opened == times:
                print("opened", flush=True)
        time.sleep(0.002)


def _closed(sock: socket.socket) -> bool:
    try:
        while True:
            if not sock.recv(65536):
                break
    except BlockingIOError:
        return False
    except OSError:
        pass
    sock.close()
    return True


SOMEBODY = 54321
"""Another user id of the machine; no such user need exist."""


def run(*arguments: str, uid: int | None = None) -> subprocess.Popen[str]:
    """The program, as another user where ``uid`` is given."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.forged_switch", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) if uid is None else subprocess.Popen(
        [sys.executable, "-c", _AS_ANOTHER.format(uid=uid, root=str(ROOT)), *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


# Loaded before the user changes: another user need not be able to read the checkout.
_AS_ANOTHER = """
import os, sys
sys.path.insert(0, {root!r})
from tests import forged_switch
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
forged_switch.main(sys.argv[1:])
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--channel", default="")
    parser.add_argument("--line", default="")
    parser.add_argument("--state", default="waiting")
    parser.add_argument("--direction", default="inbound")
    parser.add_argument("--patience", type=float, default=8.0)
    parser.add_argument("--hold", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.hold:
        hold(options.port, options.hold)
        return
    commands = forge(
        options.port, options.channel, options.line, options.state, options.direction, options.patience
    )
    print(json.dumps(commands), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
