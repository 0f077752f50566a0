"""The socket between a node's worker and its daemon, from both ends: whatever a stranger sends, the daemon
only carries out valid requests, and continues; whatever answers, the worker reports an outcome, and never a
success without one."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from recorder import metrics
from recorder.capture.command_listener import CommandListener
from recorder.domain.live_command import DONE, NO_ANSWER, UNKNOWN, Request
from recorder.spool.command_socket import SOCKET, parse_request, send_request, socket_path
from tests.fuzz.choices import Choices
from tests.fuzz.documents import mutate_document, scratch, serialize
from tests.unit.seal.recording import NOW

INSTRUMENT = ("recorder.domain.live_command", "recorder.capture.command_listener", "recorder.strict_json")
LONGEST = 300

GENUINE = Request("0198c0de-1", "0198c0de-2", "pause", "panel", 90.0)
ANSWERS = (
    b'{"taken": true}\n{"outcome": "done"}\n', b'{"taken": true}\n', b'{"outcome": "no_answer"}\n',
    b'{"outcome": "done"}\n',
    b'{"taken": true}\n{"outcome": 5}\n', b'{"taken": true}\n[]\n', b"[" * 4096, b"\n",
    b'{"taken": true}\n' + b'{"a":' * 800 + b"\n",
    b'{"taken": "no"}\n{"outcome": "ended"}\n', b"", b"\xff\n", b"null\n",
)  # fmt: skip


NODE: Any = None
"""There are no calls, so no switch is asked."""


class Ear:
    """A daemon with a prepared answer."""

    def __init__(self) -> None:
        self.spool, self.says = scratch(), b""
        self._listener = socket.socket(socket.AF_UNIX)
        with socket_path(self.spool) as name:
            self._listener.bind(name)
        assert (self.spool / SOCKET).exists()
        self._listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            try:
                with connection:
                    connection.recv(8192)
                    connection.sendall(self.says)
            except OSError:
                continue


_ear: list[Ear] = []


def check(data: bytes) -> None:
    choices = Choices(data)
    content = (
        b"[" * 4095,
        choices.blob(80),
        serialize(mutate_document(asdict(GENUINE), choices, [GENUINE.id]), choices),
    )[choices.pick((2, 2, 2, 1, 0))] + choices.pick((b"\n", b"\n", b"", b"\n\n", b"\n" + b"x" * 5000))
    _daemon(content)
    reply = choices.pick(ANSWERS)
    if choices.below(3) == 2:
        at = choices.below(len(reply) + 1)
        reply = reply[:at] + choices.blob(30) + reply[at + choices.below(4) :]
    _worker(reply)


def _daemon(content: bytes) -> None:
    try:
        request = parse_request(content.partition(b"\n")[0])
    except (ValueError, TypeError):
        request = None
    before = metrics.UNHANDLED_ERRORS._value.get()
    controls = CommandListener(Path("/nowhere"), {}, NODE, lambda: NOW + timedelta(seconds=1), lambda: 80.0)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(5)
        theirs.sendall(content)
        theirs.shutdown(socket.SHUT_WR)
        controls._handle(ours)
        output = b""
        with contextlib.suppress(ConnectionResetError):  # a request that is too long is not read to its end
            while piece := theirs.recv(4096):
                output += piece
    assert metrics.UNHANDLED_ERRORS._value.get() == before, "it was not foreseen"
    answers = [json.loads(line) for line in output.splitlines()]
    whole = b"\n" in content and len(content.partition(b"\n")[0]) < 4096 and len(content) <= 4096
    if request is None or not whole:
        assert answers == [] or request is not None, "something was answered that nobody asked"
    elif request.until <= 80.0:
        assert answers == [{"outcome": NO_ANSWER}]
    else:
        assert answers == [{"taken": True}, {"outcome": "ended"}], "there is no such call"


def _worker(reply: bytes) -> None:
    if not _ear:
        _ear.append(Ear())
    _ear[0].says = reply
    outcome = send_request(_ear[0].spool, Request("1", "2", "pause", "api", time.monotonic() + 5))
    assert isinstance(outcome, str)
    lines = reply.split(b"\n")
    if outcome == DONE:
        assert len(lines) > 1 and json.loads(lines[1])["outcome"] == DONE, "nobody said that it was done"
    if lines[0] == b'{"taken": true}' and b"outcome" not in reply:
        assert outcome == UNKNOWN, "it was taken"


SEEDS = (
    b"",
    *(
        bytes([n % 5, n % 7, n, n * 3 % 256, n * 5 % 256, n % 5, n % 13, n % 3, n % 9, 4, n, n, n, n])
        for n in range(60)
    ),
)
