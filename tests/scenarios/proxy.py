"""A proxy between a switch and the daemon that records every byte."""

from __future__ import annotations

import socket
import threading


class Proxy:
    """Forwards bytes both ways and records them: ``name`` is ``standing`` or ``call``."""

    def __init__(self, name: str, port: int, target: int, blocks: list[tuple[str, bytes]]) -> None:
        self._name = name
        self._target = target
        self._wire_log = blocks
        self._open: list[socket.socket] = []
        self._cut = False
        self._server = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._open += [near, far]
            # The daemon opens the standing connection, the switch a call's own.
            near_says, far_says = ("daemon", "switch") if self._name == "standing" else ("switch", "daemon")
            for source, sink, who in ((near, far, near_says), (far, near, far_says)):
                threading.Thread(target=self._pump, args=(source, sink, who), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, who: str) -> None:
        try:
            while data := source.recv(65536):
                self._wire_log.append((f"{who} {self._name}", data))
                sink.sendall(data)
        except OSError:
            pass
        self._wire_log.append((f"{who} {self._name}", b"<closed>"))
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Accept no more connections."""
        self._server.shutdown(socket.SHUT_RDWR)  # otherwise the thread in accept() keeps the port
        self._server.close()

    def cut(self) -> None:
        """Accept no more connections, and close the open ones."""
        if not self._cut:
            self.close()
        self._cut = True
        self.disconnect()

    def disconnect(self) -> None:
        """Close the open connections, and go on accepting new ones."""
        for end in self._open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
