"""A PostgreSQL server as a process that faults hit like the others."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.chaos.processes import Unit
from tests.postgres import Server


class Database(Unit):
    """Started, and started again, through :class:`tests.postgres.Server`."""

    def __init__(self) -> None:
        self.server = Server()
        super().__init__("database", [], {}, Path(self.server.log))
        self.server.execute("CREATE DATABASE chaos")
        self.process = self.server._process
        self.started = time.time()

    @property
    def url(self) -> str:
        return self.server.url("chaos")

    def start(self) -> None:
        """Start it once its predecessor's shared memory is free."""
        try:
            self.server.start()
        except AssertionError:
            self.due = time.time() + 0.3
            return
        self.process = self.server._process
        self.started, self.due, self.hit = time.time(), None, False

    def end(self, seconds: float = 25.0) -> None:
        """Stop it and remove its folder."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.server.close()
        self.process = None
