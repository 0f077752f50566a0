from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.clock import Clock
from tests.house import Bakery
from tests.unit.cli.shell import Shell


@pytest.fixture
def clock() -> Clock:
    """In the past, because commands read the machine's own clock, and nothing may be sealed later."""
    return Clock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


@pytest.fixture
def shell(house: Bakery) -> Shell:
    """A shell on the house."""
    return Shell(house.folder, ACCORD_STORE_PATH=str(house.bucket))


@pytest.fixture
def new_shell(tmp_path: Path) -> Shell:
    """A shell on keys and an empty catalogue."""
    shell = Shell(tmp_path)
    shell.good("key", "init")
    shell.good("migrate")
    return shell


@pytest.fixture
def dubois(new_shell: Shell) -> Shell:
    """The same with a Belgian customer, and a line that was added without options."""
    new_shell.good("tenant", "create", "Dubois")
    new_shell.good("line", "add", "--tenant", "Dubois", "+3225550101")
    return new_shell


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the temporary folder of a test."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if os.stat(folder).st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("/dev/shm and the temporary folder are on one file system")
        yield Path(folder)
