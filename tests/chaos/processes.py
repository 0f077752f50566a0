"""Processes by their ids: which run, their parents, their open files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


@dataclass
class Unit:
    """A process that is restarted whenever it ends, as by an init; ``due`` is when."""

    name: str
    argv: list[str]
    environment: Mapping[str, str]
    output: Path
    piped: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float | None = None
    is_hit: bool = False
    ends: list[str] = field(default_factory=list)
    """Ends without a fault."""

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def start(self) -> None:
        pipe = subprocess.PIPE if self.piped else subprocess.DEVNULL
        with open(self.output, "ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                env=dict(self.environment),
                cwd=self.output.parent,
                stdin=pipe,
                stdout=subprocess.PIPE if self.piped else log,
                stderr=log,
                start_new_session=True,
            )
        self.started, self.due, self.is_hit = time.time(), None, False

    def look(self, now: float) -> bool:
        """Check whether it has ended, and start it when due; returns whether it was started now."""
        if self.process is not None and (code := self.process.poll()) is not None:
            if not self.is_hit:
                lifetime = now - self.started
                self.ends.append(
                    f"{self.name} ended by itself with {code} after {lifetime:.1f} s: {self.tail()}"
                )
            self._close()
            self.process = None
            self.due = self.due or now + 0.5
        if self.process is None and self.due is not None and now >= self.due:
            self.start()
            return True
        return False

    def end(self, seconds: float = 25.0) -> None:
        """End it in order; kill it if it does not end."""
        if self.process is None:
            return
        self.is_hit = True
        send(self.process.pid, signal.SIGTERM)
        send(self.process.pid, signal.SIGCONT)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.ends.append(f"{self.name} did not end within {seconds} s of SIGTERM: {self.tail()}")
            self.process.kill()
            self.process.wait()
        self._close()
        self.process = None

    def tail(self) -> str:
        lines = (
            self.output.read_bytes().decode("utf-8", "replace").splitlines() if self.output.exists() else []
        )
        return " | ".join(lines[-3:])[-900:]

    def _close(self) -> None:
        assert self.process is not None
        pipes: list[IO[bytes] | None] = [self.process.stdin, self.process.stdout]
        for pipe in pipes:
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; returns whether the process was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def children(pid: int) -> list[int]:
    """The running processes that this one started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return [child for child in found if is_running(child)]


def is_running(pid: int) -> bool:
    """Whether it runs, rather than waiting for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False


def start_of(pid: int) -> str:
    """Distinguishes a process from a later one with the same id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]
    except (OSError, IndexError):
        return ""


def command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def kind(pid: int) -> str:
    """Which of Accord's processes it is."""
    words = command(pid)
    if "recorder.pipeline.encoders" in words:
        return "encoder"
    if "recorder" in words:
        return {"run": "supervisor"}.get(words[-1], words[-1])
    if any(word.endswith("/weed") for word in words):
        return "store"
    if any(word.endswith("/phones") for word in words):
        return "phones"
    return "switch" if any("switch" in word or "practice" in word for word in words) else " ".join(words)[:80]


def of_folder(folder: Path) -> list[int]:
    """Every process whose command or environment names a folder."""
    found = []
    sought = os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (os.getpid(), os.getppid()):
            continue
        with contextlib.suppress(OSError):
            if sought in (entry / "cmdline").read_bytes() or sought in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if is_running(pid)]


def handles(pid: int) -> int:
    """How many files it has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
