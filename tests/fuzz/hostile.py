"""A server on loopback that sends prepared answers byte for byte, and records the requests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass
class StoreRequest:
    """A request and its ``answer`` as sent, complete or not."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    answer: bytes = b""


@dataclass(frozen=True)
class Answer:
    """``pieces`` are sent with ``pause`` seconds before each; ``close`` ends the connection after them."""

    pieces: tuple[bytes, ...]
    pause: float = 0.0
    close: bool = False


@dataclass
class Server:
    """Answers from ``script`` in order; when it is used up, ends the connection."""

    script: list[Answer] = field(default_factory=list)
    requests: list[StoreRequest] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._input = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def begin(self, script: list[Answer]) -> None:
        """Prepare for another input: close every connection of the last one."""
        with self._lock:
            self._input += 1
            self.script, self.requests = list(script), []
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with self._lock:
                self._open.add(connection)
                of_input = self._input
            threading.Thread(target=self._serve, args=(connection, of_input), daemon=True).start()

    def _serve(self, connection: socket.socket, of_input: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(20)
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            while self._one(connection, file, of_input):
                pass
        with self._lock:
            self._open.discard(connection)

    def _one(self, connection: socket.socket, file, of_input: int) -> bool:
        first = file.readline(65536)
        if not first.strip():
            return False
        method, target, _ = first.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := file.readline(65536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = file.read(int(headers.get("content-length", "0")))
        request = StoreRequest(method, target, headers, body)
        with self._lock:
            if of_input != self._input:
                return False  # a request of an earlier input
            self.requests.append(request)
            answer = self.script.pop(0) if self.script else None
        if answer is None:
            return False
        for piece in answer.pieces:
            time.sleep(answer.pause)
            request.answer += piece  # recorded first: the client may check as soon as it is sent
            connection.sendall(piece)
        return not answer.close
