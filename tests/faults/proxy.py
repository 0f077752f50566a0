"""A TCP proxy whose way to the server is broken on purpose."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import replace

from recorder.store.s3_client import Bucket

PIECE = 65536


class Proxy:
    """Forwards to a port on loopback, and does as its ``mode`` says with connections that are there and that
    come:

    ``pass``       forwards
    ``cut``        closes what is there, refuses what comes: the port is closed
    ``black hole`` takes connections and bytes, and passes nothing on, either way
    ``reset``      forwards the first :attr:`after` bytes of what is sent, then resets
    ``slow``       forwards with so much :attr:`delay`, in seconds, before each piece
    ``garbage``    answers with what is no HTTP
    ``full``       answers 507, as a server whose disk is full
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = "pass"
        self.after = 20_000
        self.delay = 0.3
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: str) -> None:
        """Break, or mend."""
        before, self.mode = self.mode, mode
        if mode == "cut" and before != "cut":
            self._deafen()
            self._drop()
        elif before == "cut" and mode != "cut":
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, daemon=True).start()
        elif before == "black hole":
            self._drop()  # what hung there hangs no more

    def before(self, bucket: Bucket) -> Bucket:
        """A bucket, reached through here."""
        return replace(bucket, endpoint=f"http://127.0.0.1:{self.port}")

    def end(self) -> None:
        self._ended.set()
        self._deafen()
        self._drop()

    def _deafen(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # accept() returns, and with it the port is free
        self._listener.close()

    def _drop(self) -> None:
        with self._lock:
            found, self._open = self._open, set()
        for each in found:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        listener = self._listener
        while not self._ended.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near:
            self._keep(near)
            answer = {
                "garbage": b"\x16\x03\x01 this is no HTTP\r\n\r\n" * 20,
                "full": b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            }.get(self.mode)
            if answer is not None:
                with contextlib.suppress(OSError):
                    near.recv(PIECE)
                    near.sendall(answer)
                    near.shutdown(socket.SHUT_WR)
                    while near.recv(PIECE):
                        pass
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                return
            with far:
                far.settimeout(None)
                self._keep(far)
                with contextlib.suppress(OSError):
                    self._forward(near, far)

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        sent = 0
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while not self._ended.is_set():
                if self.mode == "black hole":
                    self._ended.wait(0.02)
                    continue
                for key, _ in selector.select(0.1):
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(PIECE)
                    if not data:
                        return
                    if self.mode == "slow":
                        time.sleep(self.delay)
                    target.sendall(data)
                    sent += len(data) if source is near else 0
                    if self.mode == "reset" and sent > self.after:
                        # No FIN: the connection is reset, as by a machine that has forgotten it.
                        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
