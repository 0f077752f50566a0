"""Accord's processes and commands on an installation in a folder, as an operator starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import Any, Self

import recorder
from recorder.processes.supervisor import Program, Supervisor
from recorder.store.s3_client import Bucket
from recorder.store.seaweedfs import PORTS
from tests.ports import free_ports
from tests.waiting import until

SOURCE = str(Path(recorder.__file__).parents[1])
ACCORD = (sys.executable, "-m", "recorder")
PASSWORD = "only-for-this-test-1"
"""Of the switch's event socket."""
CUSTOMER = "Menuiserie Dubois"
DEADLINE = 60.0
LONGEST_COMMAND = 300.0
"""Seconds on a busy machine."""


@dataclass(frozen=True)
class Ports:
    """Where an installation's servers listen; ``daemon``, ``worker`` and ``panel`` are their status pages."""

    event_socket: int
    calls: int
    web: int
    daemon: int
    worker: int
    panel: int
    store: int
    spare: int
    """The first of those for what a test puts beside it."""

    @classmethod
    def reserve(cls, spare: int = 0) -> Self:
        first = free_ports(6 + PORTS + spare)
        return cls(*range(first, first + 7), first + 6 + PORTS)

    @property
    def switch(self) -> dict[str, str]:
        """The settings of what is between daemon and switch."""
        return {
            "ACCORD_SWITCH_PORT": str(self.event_socket),
            "ACCORD_SWITCH_LISTEN_PORT": str(self.calls),
        }

    @property
    def settings(self) -> dict[str, str]:
        """All settings of ports. The embedded store has its port, but is not switched on."""
        return {
            **self.switch,
            "ACCORD_WEB_PORT": str(self.web),
            "ACCORD_METRICS_DAEMON_PORT": str(self.daemon),
            "ACCORD_METRICS_WORKER_PORT": str(self.worker),
            "ACCORD_METRICS_WEB_PORT": str(self.panel),
            "ACCORD_STORE_EMBEDDED_PORT": str(self.store),
        }


def environment(folder: Path, *settings: Mapping[str, str]) -> dict[str, str]:
    """The variables of an installation's processes: none of the machine's own installation, a folder as the
    store, and no status pages unless the settings say so."""
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")},
        "PYTHONPATH": SOURCE,
        "ACCORD_NODE_DATA": str(folder),
        "ACCORD_STORE_KIND": "directory",
        "ACCORD_SWITCH_PASSWORD": PASSWORD,
        "ACCORD_WEB_SECURE_COOKIES": "false",
        "ACCORD_METRICS_DAEMON_PORT": "0",
        "ACCORD_METRICS_WORKER_PORT": "0",
        "ACCORD_METRICS_WEB_PORT": "0",
    }
    for each in settings:
        found |= each
    return found


def stored_in(bucket: Bucket) -> dict[str, str]:
    """The settings of this bucket as the store."""
    return {
        "ACCORD_STORE_KIND": "s3",
        "ACCORD_STORE_ENDPOINT": bucket.endpoint or "",
        "ACCORD_STORE_BUCKET": bucket.name,
        "ACCORD_STORE_ACCESS_KEY": bucket.access_key,
        "ACCORD_STORE_SECRET_KEY": bucket.secret_key,
    }


@dataclass
class Process:
    """A process; ``log_path`` is its log, one line of JSON for each event."""

    popen: subprocess.Popen[bytes]
    log_path: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def log_text(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Its log so far: events of one kind, or all."""
        lines = []
        for line in self.log_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": "", "text": line}
            if not event or entry.get("event") == event:
                lines.append(entry)
        return lines

    def wait_for_log(self, text: str, seconds: float = DEADLINE) -> None:
        """Wait until its log contains a text. Fails at once if it has ended without."""

        def there() -> bool:
            ended, log = not self.is_running, self.log_text()
            assert text in log or not ended, log
            return text in log

        until(f"{text}: {self.log_path}", there, seconds)

    def signal(self, number: Signals = Signals.SIGTERM) -> None:
        self.popen.send_signal(number)

    def wait(self, seconds: float = DEADLINE) -> float:
        """Wait until it has ended well by itself; returns the seconds that it took."""
        start = time.monotonic()
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"has not ended within {seconds} s:\n{self.log_text()}") from None
        assert code == 0, self.log_text()
        return time.monotonic() - start

    def stop(self, seconds: float = DEADLINE) -> int:
        """Send SIGTERM. Returns its exit status."""
        self.signal(Signals.SIGCONT)
        self.signal()
        return self.popen.wait(seconds)

    def kill(self) -> int:
        """Kill it if it still runs. Returns its exit status."""
        self.popen.kill()
        return self.popen.wait()


@dataclass
class Installation:
    """Accord in a folder; ``settings`` are its variables, and ``program`` is how ``accord`` is called."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ACCORD
    started: list[Process] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        return environment(self.folder, self.settings, more)

    def accord(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.program, *words], env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=LONGEST_COMMAND,
        )  # fmt: skip

    def output(self, *words: str) -> str:
        """Run a command that must succeed; returns its output."""
        command = self.accord(*words)
        assert command.returncode == 0, command.stdout + command.stderr
        return command.stdout

    def install(self, *numbers: str) -> None:
        """Make keys, catalogue, store and a customer with these numbers."""
        self.output("key", "init")
        self.output("migrate")
        self.output("store", "init")
        self.output("tenant", "create", CUSTOMER, "--language", "en")
        for number in numbers:
            self.output("line", "add", "--tenant", CUSTOMER, number)

    def start(self, *words: str, before: tuple[str, ...] = (), **more: str) -> Process:
        """Start one of Accord's processes, by another program if ``before`` is its command (``setpriv …``),
        with more variables."""
        return self.start_program(*before, *self.program, *words, **more)

    def start_switch(self, ports: Ports, *options: str, before: tuple[str, ...] = ()) -> Process:
        """Start a practice switch at these ports, with ``--call=NUMBER:LANGUAGE`` for each caller."""
        address = (f"--event-port={ports.event_socket}", f"--daemon=127.0.0.1:{ports.calls}")
        return self.start_program(
            *before, sys.executable, "-m", "demo.practice", *address, "--stay", *options
        )

    def start_program(self, *argv: str, **more: str) -> Process:
        """Start any program with the installation's variables; its log is ``process-NUMBER.log``."""
        log_path = self.folder / f"process-{len(self.started)}.log"
        with open(log_path, "wb") as log:
            popen = subprocess.Popen(
                argv, env=self.environment(**more), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.started.append(Process(popen, log_path))
        return self.started[-1]

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            process.kill()


@contextmanager
def supervised(programs: Sequence[Program], environment: Mapping[str, str]) -> Iterator[Supervisor]:
    """Run programs under the product's own supervisor, in a thread."""
    supervisor = Supervisor(programs, environment)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        thread.join(DEADLINE)
