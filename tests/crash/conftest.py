"""Real worker processes on an installation, and the conditions that must hold when they have finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

import recorder
from recorder.spool import layout
from tests.stored_recordings import assert_stored_once, kinds

SOURCE = str(Path(recorder.__file__).parents[1])
WORK = Path(__file__).with_name("worker_process.py")
STEPS = Path(__file__).with_name("steps.py")
DEADLINE = 60.0


def step(house, what: str, *boundaries: str, argument: str = "-", days: int = 0, url: str = "") -> list[int]:
    """Run a step (``steps.py``) once for each boundary at which its process kills itself. Returns the exit
    statuses. Each run is some days later, so that no lease of a killed one delays it."""
    now = (house.clock() + timedelta(days=days)).isoformat()
    words = [str(house.folder), url or house.catalogue_url, now, what, argument, *boundaries]
    steps = _steps()
    assert steps.stdin is not None
    assert steps.stdout is not None
    steps.stdin.write(json.dumps(words).encode() + b"\n")
    steps.stdin.flush()
    ended: list[int] = json.loads(steps.stdout.readline())
    return ended


@cache
def _steps() -> subprocess.Popen[bytes]:
    """The process that forks the others, so that their imports happen once. It ends with this one."""
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.Popen(
        [sys.executable, str(STEPS)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@dataclass
class Process:
    """A worker process; ``log_path`` is its log."""

    popen: subprocess.Popen[bytes]
    log_path: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def ended(self) -> int:
        """Wait until it ends by itself. Returns its exit status."""
        return self.popen.wait(DEADLINE)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> None:
        """Send SIGTERM, and check that it ends with 0."""
        self.popen.send_signal(signal.SIGTERM)
        assert self.ended() == 0


@dataclass
class Workers:
    """Starts workers on an installation, and checks their results."""

    house: object
    store_arguments: tuple[str, ...] = ()
    started: list[Process] = field(default_factory=list)

    def start(self, boundary: str = "-", node: str = "") -> Process:
        """Start a worker that kills itself at a boundary; ``node`` is the folder of another node's files."""
        argv = [sys.executable, str(WORK), str(self.house.folder), boundary, *self.store_arguments]
        log_path = self.house.folder / f"worker-{len(self.started)}.log"
        with open(log_path, "wb") as log:
            environment = {**os.environ, "PYTHONPATH": SOURCE, "NODE": node}
            popen = subprocess.Popen(argv, stdout=log, env=environment)
        self.started.append(Process(popen, log_path))
        return self.started[-1]

    def finish(self) -> None:
        """Start a worker that ends when it has nothing left to do."""
        process = self.start()
        self.until(lambda: b"worker.started" in process.log_path.read_bytes(), "a worker at work")
        self.until(lambda: not self.left(), "an empty spool")
        process.stop()

    def left(self) -> list[Path]:
        """Takes and their remains in the spool, without the worker's lock and quarantine."""
        entries = self.house.spool.iterdir()
        return [entry for entry in entries if entry.is_dir() and entry.name != layout.QUARANTINE]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
            time.sleep(0.05)

    def assert_stored_once(self, recording: str) -> None:
        """Check that there is one set of objects as sealed, one row and one leaf."""
        assert_stored_once(self.house, recording, self.house.objects())

    def kinds(self, recording: str) -> list[str]:
        """The kinds of a recording's leaves."""
        return kinds(recording)


@pytest.fixture
def clock(clock):
    """Real processes use the machine's clock, so nothing here may be in their future."""
    clock.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return clock


@pytest.fixture
def workers(house) -> Iterator[Workers]:
    own_workers = Workers(house)
    yield own_workers
    for process in own_workers.started:
        if process.popen.poll() is None:
            process.kill()
