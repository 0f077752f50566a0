"""A disk's level by the share in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.spool import disk_space
from recorder.spool.disk_space import Disk, DiskLevel


@pytest.mark.parametrize(
    ("free", "room"),
    [
        (100, DiskLevel.OK),
        (15, DiskLevel.OK),
        (14, DiskLevel.WARN),
        (5, DiskLevel.WARN),
        (4, DiskLevel.FULL),
        (0, DiskLevel.FULL),
    ],
)
def test_level_follows_the_two_limits(free: int, room: DiskLevel) -> None:
    assert Disk(100, free).level(0.85001, 0.95001) is room


def test_disk_without_inodes_is_full() -> None:
    assert Disk(100, 90, files=1000, files_free=10).level(0.85, 0.95) is DiskLevel.FULL
    assert Disk(100, 90, files=0, files_free=0).level(0.85, 0.95) is DiskLevel.OK


def test_level_does_not_alternate_at_a_limit() -> None:
    disks = [Disk(10_000, free) for free in (499, 501, 499, 520, 549)]
    room, levels = DiskLevel.OK, []
    for each in disks:
        room = each.level(0.85, 0.95, room)
        levels.append(room)
    assert levels == [DiskLevel.FULL] * 5
    assert Disk(10_000, 551).level(0.85, 0.95, DiskLevel.FULL) is DiskLevel.WARN
    assert Disk(10_000, 1501).level(0.85, 0.95, DiskLevel.WARN) is DiskLevel.WARN
    assert Disk(10_000, 1551).level(0.85, 0.95, DiskLevel.WARN) is DiskLevel.OK


def test_measures_a_real_disk(tmp_path: Path) -> None:
    found = disk_space.measure_disk(tmp_path)
    assert 0 < found.share_used < 1
    assert found.size > found.free > 0
