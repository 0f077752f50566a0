"""Real faults: full disks, hung servers, clocks that jump."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.store.directory import DirectoryStore
from tests.clock import Clock
from tests.faults.disks import MIB, SmallDisk
from tests.processes import Installation


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., SmallDisk]]:
    """Mounts file systems of a few megabytes; skips if that is not permitted."""
    disks: list[SmallDisk] = []

    def mount(name: str, kind: str = "tmpfs", size: int = 8 * MIB) -> SmallDisk:
        disks.append(SmallDisk(tmp_path / name, kind, size))
        return disks[-1]

    yield mount
    for each in disks:
        each.end()


@pytest.fixture
def clock(clock: Clock) -> Clock:
    """Real processes use the machine's clock, so nothing here may be in their future."""
    clock.at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    return clock


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Installation]:
    """Starts real processes, and ends them at the end of the test."""
    DirectoryStore(tmp_path / "bucket").init()
    installation = Installation(tmp_path, {"ACCORD_STORE_PATH": str(tmp_path / "bucket")})
    yield installation
    installation.close()
