from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.catalogue import prompt_files, queries
from recorder.domain.parties import Party
from recorder.features.tenants import lines, snapshot
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.lifecycle import line_history
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.spool.snapshot import read_snapshot

pytestmark = pytest.mark.postgresql


@pytest.fixture
def write(tenants, tmp_path, clock) -> Callable[[], bool]:
    return lambda: snapshot.write(tmp_path / "snapshot", tmp_path / "spool", ["112", "+3225550199"], clock())


def test_snapshot_is_read_back(write, tmp_path, tenants, announce, clock, entropy, tone) -> None:
    mine, _ = tenants
    line = lines.create_line(
        mine,
        number="+3225550100",
        announcement=announce(level=700),
        formats=["wav", "opus"],
        now=clock(),
        entropy=entropy,
    )
    assert write()
    read = read_snapshot(tmp_path / "snapshot")
    found = read.line("3225550100")
    assert found is not None
    assert (found.tenant, found.line, found.formats) == (mine, line.id, ("wav", "opus"))
    assert found.announcement.id == line.announcement
    assert (found.announcement.purposes, found.announcement.keep_days) == (("agreement",), 30)
    assert read.prompt(found.announcement.sha256).read_bytes() == tone(1000, level=700)
    assert read.damaged == frozenset()
    assert read.never_record == {"112", "3225550199"}
    assert read.made_at == "2026-11-25T09:00:00.000Z"


def test_unchanged_snapshot_is_not_written(write, tmp_path, announce, tenants, clock, entropy) -> None:
    assert write()
    at = (tmp_path / "snapshot" / "snapshot.json").stat().st_mtime_ns
    clock.forward(minutes=1)
    assert not write()
    assert (tmp_path / "snapshot" / "snapshot.json").stat().st_mtime_ns == at
    lines.create_line(tenants[0], number="100", announcement=announce(), now=clock(), entropy=entropy)
    assert write()


def test_damaged_prompt_is_replaced(write, tmp_path, announce, tenants, clock, entropy) -> None:
    lines.create_line(tenants[0], number="100", announcement=announce(), now=clock(), entropy=entropy)
    write()
    prompt = next((tmp_path / "snapshot" / "prompts").iterdir())
    prompt.write_bytes(prompt.read_bytes()[:-10])
    assert read_snapshot(tmp_path / "snapshot").damaged
    write()
    assert not read_snapshot(tmp_path / "snapshot").damaged


def test_ended_line_is_removed(write, tmp_path, announce, tenants, clock, entropy) -> None:
    line = lines.create_line(tenants[0], number="100", announcement=announce(), now=clock(), entropy=entropy)
    write()
    line_history.end_line(tenants[0], line.id, now=clock(), entropy=entropy)
    write()
    assert read_snapshot(tmp_path / "snapshot").line("100") is None


def test_old_prompt_stays_while_a_take_may_need_it(
    write, tmp_path, announce, tenants, clock, entropy
) -> None:
    mine, _ = tenants
    line = lines.create_line(mine, number="100", announcement=announce(), now=clock(), entropy=entropy)
    write()
    announcement = read_snapshot(tmp_path / "snapshot").line("100").announcement
    old = tmp_path / "snapshot" / "prompts" / f"{announcement.sha256}.wav"
    start = CallStart(
        recording="01930000-0000-7000-8000-000000000001",
        tenant=mine,
        line=line.id,
        number="100",
        direction="inbound",
        node="node1",
        channel="c",
        external_party=Party("withheld", ""),
        started_at=clock(),
        formats=("opus",),
        announcement=announcement,
    )
    folder = layout.open_take(tmp_path / "spool", start)
    change_line(mine, line.id, LineChange(announcements=[announce(level=77)]), now=clock(), entropy=entropy)
    clock.forward(days=3)
    write()
    assert old.exists()
    layout.remove_take(layout.RemovableTake(folder))
    write()
    assert not old.exists()


def test_old_prompt_stays_for_a_day(write, tmp_path, announce, tenants, clock, entropy) -> None:
    mine, _ = tenants
    line = lines.create_line(mine, number="100", announcement=announce(), now=clock(), entropy=entropy)
    write()
    change_line(mine, line.id, LineChange(announcements=[announce(level=77)]), now=clock(), entropy=entropy)
    clock.forward(hours=23)
    write()
    prompts = tmp_path / "snapshot" / "prompts"
    assert len(list(prompts.iterdir())) == 2
    clock.forward(hours=2)
    write()
    (left,) = prompts.iterdir()
    assert left.stem == queries.announcement(mine, queries.lines(mine)[0].announcement).sound


def test_prompt_is_fetched_for_an_old_take(tmp_path, announce, tenants, clock) -> None:
    row = queries.announcement(tenants[0], announce())
    path = prompt_files.put_prompt(tmp_path, row.sound, clock())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sound
    assert abs(os.stat(path).st_mtime - clock().timestamp()) < 1
    assert prompt_files.put_prompt(tmp_path, "ff" * 32, clock() + timedelta(days=1)) is None
    assert not (Path(tmp_path) / "prompts" / f"{'ff' * 32}.wav").exists()
