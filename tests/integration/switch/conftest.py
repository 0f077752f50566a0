"""A peer on a real socket that sends exactly the bytes that a test specifies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import Inbound

QUICK = ConnectionLimits(connect=1.0, reply=1.0, write=1.0, silence=3.0)


class Line:
    """One accepted connection, seen from FreeSWITCH's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self, text: str = "+OK") -> None:
        self.say(f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode())

    def answer(self, text: str) -> None:
        body = text.encode()
        self.say(b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body))

    def event(self, *lines: str) -> None:
        body = "".join(f"{line}\n" for line in lines).encode() + b"\n"
        self.say(b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(body), body))

    def read_text(self) -> str:
        """Return the next command; empty when the other side has closed."""
        while b"\n\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                return ""
            self._rest += data
        command, self._rest = self._rest.split(b"\n\n", 1)
        return command.decode()

    def log_in(self, password: str = "secret") -> None:
        self.say(b"Content-Type: auth/request\n\n")
        assert self.read_text() == f"auth {password}"
        self.reply("+OK accepted")


class Peer:
    """Listens; ``script`` receives each connection as a :class:`Line`, in its own greenlet."""

    def __init__(self) -> None:
        self.script: Callable[[Line], object] = lambda line: None
        self.lines: list[Line] = []
        self.errors: list[BaseException] = []
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._server.listen(16)
        self.port = int(self._server.getsockname()[1])
        self._greenlets: list[Any] = [gevent.spawn(self._accept)]

    def _accept(self) -> None:
        while True:
            sock, _ = self._server.accept()
            line = Line(sock)
            self.lines.append(line)
            self._greenlets.append(gevent.spawn(self._serve, line))

    def _serve(self, line: Line) -> None:
        try:
            self.script(line)
        except OSError:
            pass  # the side under test has closed, which its test checks
        except AssertionError as error:
            self.errors.append(error)

    def close(self) -> None:
        gevent.killall(self._greenlets)
        self._server.close()
        for line in self.lines:
            line.sock.close()
        assert not self.errors, self.errors


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def dial(peer: Peer) -> Iterator[Callable[..., Inbound]]:
    """Open a connection to the peer and log in; the script begins after the log-in."""
    connections: list[Inbound] = []

    def dial(script: Callable[[Line], object], limits: ConnectionLimits = QUICK) -> Inbound:
        def with_log_in(line: Line) -> None:
            line.log_in()
            script(line)

        peer.script = with_log_in
        connection = Inbound("127.0.0.1", peer.port, "secret", timeout=limits.connect, limits=limits)
        connections.append(connection)
        connection.connect()
        return connection

    yield dial
    for connection in connections:
        connection.close("the test is over")


@pytest.fixture
def wait() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition for at most 20 seconds, so that a busy machine is no failure."""

    def wait(condition: Callable[[], object]) -> None:
        over = Event()
        end = gevent.spawn_later(20, over.set)
        while not condition():
            assert not over.is_set(), "the condition did not come true within 20 s"
            gevent.sleep(0.005)
        end.kill(block=False)

    return wait
