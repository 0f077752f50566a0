"""Real processes of an installation, to be ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.waiting import until

REPOSITORY = Path(__file__).parents[3]
PASSWORD = "practice-practice"
NUMBER = "+3225550101"


@dataclass
class Process:
    """One of Accord's processes, with its output and its messages to systemd."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    messages: list[tuple[float, str]] = field(default_factory=list)

    def log_text(self) -> str:
        return self.log.read_text()

    def wait_for_log(self, text: str, seconds: float = 30) -> None:
        def there() -> bool:
            assert self.popen.poll() is None or text in self.log_text(), self.log_text()
            return text in self.log_text()

        until(f"{self.name} says {text}: {self.log}", there, seconds)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.popen.send_signal(number)

    def wait(self, seconds: float) -> float:
        """Wait for its end; returns the seconds that it took."""
        start = time.monotonic()
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} has not ended within {seconds} s:\n{self.log_text()}"
            ) from None
        assert code == 0, self.log_text()
        return time.monotonic() - start

    def receive(self, notify: socket.socket) -> None:
        """Collect its messages to systemd since the last time."""
        while True:
            try:
                self.messages.append((time.monotonic(), notify.recv(4096).decode()))
            except (BlockingIOError, TimeoutError):
                return


class Site:
    """An installation in a folder, on ports of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.event_port, self.call_port, self.web_port, daemon, worker = range(
            first := free_ports(5), first + 5
        )
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "ACCORD_NODE_DATA": str(folder),
            "ACCORD_STORE_KIND": "directory",
            "ACCORD_SWITCH_PASSWORD": PASSWORD,
            "ACCORD_SWITCH_PORT": str(self.event_port),
            "ACCORD_SWITCH_LISTEN_PORT": str(self.call_port),
            "ACCORD_WEB_PORT": str(self.web_port),
            "ACCORD_WEB_SECURE_COOKIES": "false",
            "ACCORD_METRICS_DAEMON_PORT": str(daemon),
            "ACCORD_METRICS_WORKER_PORT": str(worker),
            "ACCORD_METRICS_WEB_PORT": "0",
            **(environment or {}),
        }
        self.processes: list[Process] = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(f"\0accord-test-{os.getpid()}-{id(self)}")
        self.notify.setblocking(False)

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def accord(self, *words: str) -> str:
        process = subprocess.run(
            [sys.executable, "-m", "recorder", *words], env=self.environment, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def install(self) -> None:
        self.accord("key", "init")
        self.accord("migrate")
        self.accord("store", "init")
        self.accord("tenant", "create", "Menuiserie Dubois", "--language", "en")
        self.accord("line", "add", "--tenant", "Menuiserie Dubois", NUMBER)

    def start(self, name: str, *argv: str, **more: str) -> Process:
        """Start a process: one of Accord's, or another command."""
        log = self.folder / f"{name}.log"
        command = list(argv) or [sys.executable, "-m", "recorder", name]
        address = self.notify.getsockname().decode().replace("\0", "@")
        environment = {**self.environment, "NOTIFY_SOCKET": address, **more}
        with open(log, "ab") as file:
            popen = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(Process(name, popen, log))
        return self.processes[-1]

    def call(self, name: str = "switch") -> Process:
        """Start a practice switch with an inbound call."""
        return self.start(
            name, sys.executable, "-m", "demo.practice", f"--event-port={self.event_port}",
            f"--daemon=127.0.0.1:{self.call_port}", f"--call={NUMBER}:en", "--stay",
        )  # fmt: skip

    def markers(self) -> str:
        return "".join(path.read_text() for path in self.spool.glob("*/events.jsonl"))

    def close(self) -> None:
        for each in self.processes:
            if each.popen.poll() is None:
                each.popen.kill()
                each.popen.wait()
        self.notify.close()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation, with its lines known to the node; each test gets a copy."""
    site = Site(tmp_path_factory.mktemp("installed"))
    site.install()
    worker = site.start("worker")
    until("the snapshot is there", (site.folder / "snapshot" / "snapshot.json").exists)
    worker.end()
    worker.wait(20)
    site.close()
    return site.folder


@pytest.fixture
def site(installation: Path, tmp_path: Path) -> Iterator[Site]:
    own_site = Site(Path(shutil.copytree(installation, tmp_path / "site")))
    yield own_site
    own_site.close()
