"""Real worker processes on a house, and what must be true when they are done."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import queries
from recorder.catalogue.models import LedgerEntry, connected
from recorder.seal.manifest import open_manifest
from recorder.take import spool

SOURCE = str(Path(recorder.__file__).parents[1])
WORK = Path(__file__).with_name("work.py")
DEADLINE = 60.0


@dataclass
class Process:
    """A worker; ``said`` is its log."""

    popen: subprocess.Popen[bytes]
    said: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def ended(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.popen.wait(DEADLINE)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> None:
        """SIGTERM, and it ends well."""
        self.popen.send_signal(signal.SIGTERM)
        assert self.ended() == 0


@dataclass
class Workers:
    """Starts workers on a house, and knows what they should have done."""

    house: object
    store_arguments: tuple[str, ...] = ()
    started: list[Process] = field(default_factory=list)

    def start(self, boundary: str = "-") -> Process:
        """A worker that kills itself at a boundary."""
        argv = [sys.executable, str(WORK), str(self.house.root), boundary, *self.store_arguments]
        said = self.house.root / f"worker-{len(self.started)}.log"
        with open(said, "wb") as log:
            popen = subprocess.Popen(argv, stdout=log, env={**os.environ, "PYTHONPATH": SOURCE})
        self.started.append(Process(popen, said))
        return self.started[-1]

    def finish(self) -> None:
        """A worker that has nothing left to do, and then ends."""
        process = self.start()
        self.until(lambda: b"worker.started" in process.said.read_bytes(), "a worker at work")
        self.until(lambda: not self.left(), "an empty spool")
        process.stop()

    def left(self) -> list[Path]:
        """Takes and what is left of them; not the worker's lock, nor quarantine."""
        entries = self.house.spool.iterdir()
        return [entry for entry in entries if entry.is_dir() and entry.name != spool.QUARANTINE]

    def until(self, met: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not met():
            assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
            time.sleep(0.05)

    def assert_stored_once(self, recording: str) -> None:
        """One object set that is what was sealed, one row, one leaf."""
        house = self.house
        row = queries.recording(house.tenant, recording)
        assert row is not None
        mine = [key for key in house.objects() if recording in key]
        names = ("audio.opus", "audio.wav", "manifest.json", "peaks")
        keys = [*(row.prefix + name for name in names), f"keys/{house.tenant}/{recording}.json"]
        assert mine == sorted(keys)
        content = house.means.store.read(row.prefix + "manifest.json")
        assert hashlib.sha256(content).hexdigest() == row.manifest_sha256
        for each in open_manifest(content, house.means.root_public).objects:
            stored = house.means.store.read(row.prefix + each.name)
            assert hashlib.sha256(stored).hexdigest() == each.stored_sha256
        assert self.kinds(recording) == ["recording.stored"]

    def kinds(self, recording: str) -> list[str]:
        """Kinds of the leaves that speak of a recording."""
        with connected():
            return [leaf.kind for leaf in LedgerEntry.select().where(LedgerEntry.recording_id == recording)]


@pytest.fixture
def clock(clock):
    """Real processes have the machine's clock: what is made here must not lie in their future."""
    clock.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return clock


@pytest.fixture
def workers(house) -> Iterator[Workers]:
    made = Workers(house)
    yield made
    for process in made.started:
        if process.popen.poll() is None:
            process.kill()
