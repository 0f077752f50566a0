"""Accord's own processes, as an operator starts them, with faults of a test."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import recorder
from recorder.store.s3_client import Bucket

SOURCE = str(Path(recorder.__file__).parents[1])
DEADLINE = 60.0


@dataclass
class Process:
    """A process; ``log_path`` is its log, one line of JSON for each event."""

    popen: subprocess.Popen[bytes]
    log_path: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Its log so far: events of one kind, or all."""
        lines = []
        for line in self.log_path.read_text("utf-8", "replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": "", "text": line}
            if not event or entry.get("event") == event:
                lines.append(entry)
        return lines

    def memory(self) -> int:
        """The highest memory use of the process and its children, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self, seconds: float = DEADLINE) -> int:
        """Send SIGTERM. Returns its exit status."""
        self.popen.send_signal(signal.SIGCONT)
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


@dataclass
class Processes:
    """Starts processes on an installation in a folder (:class:`tests.house.House`)."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

    def store_in(self, bucket: Bucket) -> None:
        """Use this bucket instead of the folder as the store."""
        self.settings |= {
            "ACCORD_STORE_KIND": "s3",
            "ACCORD_STORE_ENDPOINT": bucket.endpoint or "",
            "ACCORD_STORE_BUCKET": bucket.name,
            "ACCORD_STORE_ACCESS_KEY": bucket.access_key,
            "ACCORD_STORE_SECRET_KEY": bucket.secret_key,
        }

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")},
            "PYTHONPATH": SOURCE,
            "ACCORD_NODE_DATA": str(self.root),
            "ACCORD_STORE_KIND": "directory",
            "ACCORD_STORE_PATH": str(self.root / "bucket"),
            "ACCORD_METRICS_DAEMON_PORT": "0",
            "ACCORD_METRICS_WORKER_PORT": "0",
            "ACCORD_METRICS_WEB_PORT": "0",
            **self.settings,
            **more,
        }

    def start(
        self,
        *command: str,
        before: tuple[str, ...] = (),
        descriptors: int | None = None,
        python: tuple[str, ...] = (sys.executable, "-m", "recorder"),
        **environment: str,
    ) -> Process:
        """Start ``accord`` with a command (``worker``), prefixed by ``before`` (``setpriv …``);
        ``descriptors`` limits its open files."""
        log_path = self.root / f"process-{len(self.started)}.log"
        with open(log_path, "wb") as log:
            popen = subprocess.Popen(
                [*before, *python, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(**environment),
                preexec_fn=_limit(descriptors),
            )
        self.started.append(Process(popen, log_path))
        return self.started[-1]

    def worker(self, **circumstances: Any) -> Process:
        return self.start("worker", **circumstances)

    def end(self) -> None:
        for process in self.started:
            process.kill()


def _limit(descriptors: int | None) -> Callable[[], None] | None:
    if descriptors is None:
        return None
    number = descriptors
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
