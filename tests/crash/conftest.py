"""Real worker processes on an installation, and the conditions that must hold when they have finished."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from recorder.spool import layout
from tests.crash import steps, worker_process
from tests.stored_recordings import assert_stored_once, kinds
from tests.waiting import until

DEADLINE = 60.0

PROCESSES = multiprocessing.get_context("forkserver")
"""Forks each process from one that has the product loaded, because its imports take longer than its work."""
PROCESSES.set_forkserver_preload([steps.__name__, worker_process.__name__])


def step(house, what: str, *boundaries: str, argument: str = "-", days: int = 0, url: str = "") -> list[int]:
    """Run a step (``steps.py``) once for each boundary at which its process kills itself. Returns the exit
    statuses. Each run is some days later, so that no lease of a killed one delays it."""
    now = house.clock() + timedelta(days=days)
    ended = []
    for number, boundary in enumerate(boundaries):
        arguments = (house.folder, url or house.catalogue_url, now + timedelta(days=number), what, argument)
        process = PROCESSES.Process(target=steps.run, args=(*arguments, boundary), daemon=True)
        process.start()
        ended.append(exit_status(process))
    return ended


def exit_status(process: BaseProcess) -> int:
    """Wait until a process ends by itself."""
    process.join(DEADLINE)
    assert process.exitcode is not None, f"not ended within {DEADLINE} s"
    return process.exitcode


@dataclass
class Process:
    """A worker process; ``log_path`` is its log."""

    process: BaseProcess
    log_path: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def ended(self) -> int:
        """Wait until it ends by itself. Returns its exit status."""
        return exit_status(self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """Send SIGTERM, and check that it ends with 0."""
        os.kill(self.pid, signal.SIGTERM)
        assert self.ended() == 0


@dataclass
class Workers:
    """Starts workers on an installation, and checks their results."""

    house: object
    store_arguments: tuple[str, ...] = ()
    started: list[Process] = field(default_factory=list)

    def start(self, boundary: str = "-", node: str = "") -> Process:
        """Start a worker that kills itself at a boundary; ``node`` is the folder of another node's files."""
        log_path = self.house.folder / f"worker-{len(self.started)}.log"
        log_path.touch()
        arguments = (log_path, self.house.folder, boundary, node, *self.store_arguments)
        process = PROCESSES.Process(target=worker_process.run, args=arguments, daemon=True)
        process.start()
        self.started.append(Process(process, log_path))
        return self.started[-1]

    def finish(self) -> None:
        """Start a worker that ends when it has nothing left to do."""
        process = self.start()
        until("a worker at work", lambda: b"worker.started" in process.log_path.read_bytes())
        until("an empty spool", lambda: not self.left())
        process.stop()

    def left(self) -> list[Path]:
        """Takes and their remains in the spool, without the worker's lock and quarantine."""
        entries = self.house.spool.iterdir()
        return [entry for entry in entries if entry.is_dir() and entry.name != layout.QUARANTINE]

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
        if process.process.is_alive():
            process.kill()
