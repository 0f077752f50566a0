"""Real processes of an installation, to be ended."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.processes import Installation, Ports, Process
from tests.waiting import until

NUMBER = "+3225550101"


@dataclass
class Site(Installation):
    """An installation on ports of its own; ``messages`` are what its processes told systemd, and when."""

    ports: Ports = field(default_factory=Ports.reserve)
    messages: list[tuple[float, str]] = field(default_factory=list)
    notify: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))

    def __post_init__(self) -> None:
        self.notify.bind(f"\0accord-test-{os.getpid()}-{id(self)}")
        self.notify.setblocking(False)
        address = self.notify.getsockname().decode().replace("\0", "@")
        self.settings = {**self.ports.settings, "ACCORD_METRICS_WEB_PORT": "0", "NOTIFY_SOCKET": address}

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def call(self) -> Process:
        """Start a practice switch with an inbound call."""
        return self.start_switch(self.ports, f"--call={NUMBER}:en")

    def markers(self) -> str:
        return "".join(path.read_text() for path in self.spool.glob("*/events.jsonl"))

    def receive(self) -> list[tuple[float, str]]:
        """The messages to systemd so far."""
        while True:
            try:
                self.messages.append((time.monotonic(), self.notify.recv(4096).decode()))
            except (BlockingIOError, TimeoutError):
                return self.messages

    def close(self) -> None:
        super().close()
        self.notify.close()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation, with its lines known to the node; each test gets a copy."""
    site = Site(tmp_path_factory.mktemp("installed"))
    site.install(NUMBER)
    worker = site.start("worker")
    until("the snapshot is there", (site.folder / "snapshot" / "snapshot.json").exists)
    worker.signal()
    worker.wait(20)
    site.close()
    return site.folder


@pytest.fixture
def site(installation: Path, tmp_path: Path) -> Iterator[Site]:
    own_site = Site(Path(shutil.copytree(installation, tmp_path / "site")))
    yield own_site
    own_site.close()
