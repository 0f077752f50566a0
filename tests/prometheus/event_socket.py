"""A switch's event socket without a switch: the daemon stays connected to it, and gets an event a second."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

EVENT = (
    "Event-Name: DTMF\nEvent-Date-Timestamp: {at}\nEvent-Sequence: {number}\nUnique-ID: nobodys\n"
    "DTMF-Digit: 1\n\n"
)
ANSWERS = {
    "api show channels as json": json.dumps({"row_count": 0}),
    "api conference json_list": "[]",
    "api status": "UP 0 years",
}


class EventSocket:
    """Events arrive ``lag`` seconds after they happened. It can be stopped and started again."""

    def __init__(self, port: int) -> None:
        self.lag = 0.0
        self._port = port
        self._sockets: list[socket.socket] = []
        self.start()

    def start(self) -> None:
        server = socket.create_server(("127.0.0.1", self._port))
        self._sockets = [server]
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                self._sockets.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        rest, sends = b"", threading.Lock()
        with suppress(OSError):
            connection.sendall(b"Content-Type: auth/request\n\n")
            while piece := connection.recv(65536):
                rest += piece
                while b"\n\n" in rest:
                    command, rest = rest.split(b"\n\n", 1)
                    with sends:
                        connection.sendall(_answer(command.decode()))
                    if command.startswith(b"event "):
                        threading.Thread(target=self._send, args=(connection, sends), daemon=True).start()

    def _send(self, connection: socket.socket, sends: threading.Lock) -> None:
        with suppress(OSError):
            for number in range(1_000_000):
                at = int((time.time() - self.lag) * 1e6)
                body = EVENT.format(at=at, number=number).encode()
                with sends:
                    connection.sendall(b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(body))
                    connection.sendall(body)
                time.sleep(1)


def _answer(command: str) -> bytes:
    if not command.startswith("api "):
        return b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
    body = ANSWERS.get(command, "+OK").encode()
    return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body)
