"""What the share of a disk in use means."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.spool import disk_space
from recorder.spool.disk_space import Disk, Room


@pytest.mark.parametrize(
    ("free", "room"),
    [(100, Room.OK), (15, Room.OK), (14, Room.WARN), (5, Room.WARN), (4, Room.FULL), (0, Room.FULL)],
)
def test_two_limits_say_what_there_is_room_for(free: int, room: Room) -> None:
    assert Disk(100, free).room(0.85001, 0.95001) is room


def test_a_disk_without_inodes_is_full_however_much_space_it_has() -> None:
    assert Disk(100, 90, files=1000, files_free=10).room(0.85, 0.95) is Room.FULL
    assert Disk(100, 90, files=0, files_free=0).room(0.85, 0.95) is Room.OK


def test_at_a_limit_it_does_not_change_again_and_again() -> None:
    hovering = [Disk(10_000, free) for free in (499, 501, 499, 520, 549)]
    room, seen = Room.OK, []
    for each in hovering:
        room = each.room(0.85, 0.95, room)
        seen.append(room)
    assert seen == [Room.FULL] * 5
    assert Disk(10_000, 551).room(0.85, 0.95, Room.FULL) is Room.WARN
    assert Disk(10_000, 1501).room(0.85, 0.95, Room.WARN) is Room.WARN
    assert Disk(10_000, 1551).room(0.85, 0.95, Room.WARN) is Room.OK


def test_a_real_disk(tmp_path: Path) -> None:
    found = disk_space.look(tmp_path)
    assert 0 < found.used < 1
    assert found.size > found.free > 0
