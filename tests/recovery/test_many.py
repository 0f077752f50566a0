"""A rebuild of many recordings from the bucket, by a command that is killed repeatedly.

``TEST_REBUILD_RECORDINGS`` is their number (2,000); ``TEST_REBUILD_FROM`` names an installation that
``many.py`` made before. Every row is then compared with the original catalogue.
"""

from __future__ import annotations

import os
import random
import re
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

import pytest

from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports
from tests.processes import Installation, Process, environment, stored_in
from tests.waiting import until

MANY = Path(__file__).with_name("many.py")
RECORDINGS = int(os.environ.get("TEST_REBUILD_RECORDINGS", "1000"))
IN_SEAWEEDFS = int(os.environ.get("TEST_REBUILD_IN_SEAWEEDFS", "250"))
KILLS = 10
TABLES = ("recording", "amendment")

pytestmark = [pytest.mark.long, pytest.mark.timeout(6 * 3600)]


POLITELY = ("nice", "-n", "10")


def make(root: Path, count: int, *where: str) -> Path:
    argv = [*POLITELY, sys.executable, str(MANY), str(root), str(count), *where]
    with open(root / "made.log", "wb") as log:
        subprocess.run(argv, env=environment(root), stdout=log, check=True)
    return root


class Command:
    """``accord rebuild`` of a new catalogue, from the bucket of an installation."""

    def __init__(self, root: Path, folder: Path, store: dict[str, str]) -> None:
        folder.mkdir()
        self.catalogue = folder / "catalogue.db"
        self.installation = Installation(folder, {"ACCORD_KEYS_FOLDER": str(root / "keys"), **store})
        self.installation.output("migrate")

    def start(self) -> Process:
        return self.installation.start("rebuild", before=POLITELY)

    def run(self) -> str:
        """Rebuild to the end; returns what it printed."""
        process = self.start()
        assert process.popen.wait() == 0, process.log_text()[-2000:]
        return process.log_text()

    def wait_for_work(self, process: Process, before: tuple[object, ...]) -> None:
        """Wait until it has done something since its progress was ``before``, or has ended."""
        until("it works", lambda: not process.is_running or self.progress() != before)

    def progress(self) -> tuple[object, ...]:
        """How far the rebuild is: its phase, and how many places are listed and done."""
        with closing(sqlite3.connect(self.catalogue, timeout=30)) as database:
            (phase,) = database.execute(
                "SELECT max(data) FROM global_state WHERE name = 'rebuild'"
            ).fetchone()
            return phase, *database.execute("SELECT count(*), count(outcome) FROM rebuild_queue").fetchone()


def rows(path: Path, table: str) -> Iterator[tuple[object, ...]]:
    database = sqlite3.connect(path)
    yield from database.execute(f"SELECT * FROM {table} ORDER BY id")
    database.close()


def assert_same(original: Path, again: Path) -> int:
    """Compare every row of both catalogues; returns their number."""
    count = 0
    for table in TABLES:
        for before, after in zip_longest(rows(original, table), rows(again, table)):
            assert before == after
            count += 1
    return count


def check(root: Path, folder: Path, store: dict[str, str], seed: int) -> None:
    original = root / "catalogue.db"
    start = time.monotonic()
    whole = Command(root, folder / "whole", store)
    log_text = whole.run()
    seconds = time.monotonic() - start
    compared = assert_same(original, whole.catalogue)
    assert "restored" in log_text
    assert "Nothing expires until you confirm" in log_text
    start = time.monotonic()
    assert "Nothing was changed" in whole.run()
    again = time.monotonic() - start
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024

    chance = random.Random(seed)
    kills, runs, number = 0, 0, 0
    longest = seconds / 4
    while kills < KILLS:
        number += 1
        killed = Command(root, folder / f"killed-{number}", store)
        while True:
            runs += 1
            before = killed.progress()
            process = killed.start()
            killed.wait_for_work(process, before)
            try:
                process.popen.wait(chance.uniform(0, longest) if kills < KILLS else None)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
                continue
            assert process.popen.returncode == 0, process.log_text()[-2000:]
            longest *= 0.8  # the machine may have been busier during the measurement
            break
        assert assert_same(original, killed.catalogue) == compared
    counts = re.findall(r"^ *(\d+) +restored", log_text, re.MULTILINE)
    print(
        f"\n{counts[0]} recordings made again in {seconds:.0f} s ({compared} rows compared), looked at again "
        f"in {again:.0f} s, at most {memory} MiB in any process; killed {kills} times in {number} rebuilds "
        f"({runs} runs), seed {seed}: every row the same"
    )


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("TEST_SEED", "20261125"))


def test_rebuild_many_recordings_from_a_folder(tmp_path: Path, seed: int) -> None:
    folder = os.environ.get("TEST_REBUILD_FROM")
    root = Path(folder) if folder else make(tmp_path, RECORDINGS)
    store = {"ACCORD_STORE_PATH": str(root / "bucket")}
    work = tmp_path / "work"
    work.mkdir()
    check(root, work, store, seed)


def test_rebuild_many_recordings_from_a_store(tmp_path: Path, seed: int) -> None:
    port = free_ports(PORTS)
    server = SeaweedFS(tmp_path / "seaweedfs", port)
    server.start()
    try:
        make(tmp_path, IN_SEAWEEDFS, str(tmp_path / "seaweedfs"), str(port))
        work = tmp_path / "work"
        work.mkdir()
        check(tmp_path, work, stored_in(server.bucket()), seed)
    finally:
        server.stop(seconds=0)
