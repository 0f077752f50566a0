"""Nodes are upgraded one after another during calls: the first one migrates, and the new schema serves the
others."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.catalogue import queries, schema
from recorder.catalogue.database import connected, database
from tests.nodes.conftest import Nodes
from tests.processes import Ports
from tests.waiting import until

pytestmark = pytest.mark.long

OURS = max(path.stem for path in schema.FOLDER.glob("0*.py"))
ADDS = """
from peewee import TextField


def up(migrator, db):
    db.execute_sql("CREATE TABLE mood (id TEXT PRIMARY KEY)")
    migrator.migrate(migrator.add_column("recording", "mood", TextField(null=True)))
"""
BREAKS = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE recording RENAME COLUMN number TO called")
"""


@pytest.fixture
def to_come(tmp_path: Path) -> Callable[..., Path]:
    """Makes the migrations of a later version."""

    def make(**more: str) -> Path:
        folder = tmp_path / f"migrations-{len(more)}"
        shutil.copytree(schema.FOLDER, folder)
        for name, content in more.items():
            (folder / f"{name[1:]}.py").write_text(content)
        return folder

    return make


def test_other_nodes_continue_after_a_migration(nodes: Nodes, house, to_come) -> None:
    north, east, _ = nodes
    adds = f"SERVES = {OURS!r}\n{ADDS}"
    calls = [node.take() for _ in range(3) for node in (north, east)]
    before, old = north.work(), east.work()

    north.upgrade(to_come(_0098_adds=adds))
    assert north.output("migrate").split() == ["0098_adds"]
    assert _has_column("mood")
    assert before.stop() == 0
    new = north.work()
    calls += [node.take() for node in (north, east)]
    until("both versions work", lambda: not north.left() and not east.left())
    assert old.is_running
    assert old.kill() == -signal.SIGKILL
    calls.append(east.take())
    old = east.work()
    until("a restarted old version works, too", lambda: not east.left())

    # The next migration serves no older version: an old worker refuses to start, and loses nothing.
    assert old.stop() == 0
    assert new.stop() == 0
    latest = to_come(_0098_adds=adds, _0099_breaks=BREAKS)
    north.upgrade(latest)
    assert north.output("migrate").split() == ["0099_breaks"]
    calls.append(east.take())
    refused = east.accord("worker")
    assert refused.returncode != 0
    assert "newer version of Accord" in refused.stderr
    assert "install that version" in refused.stderr
    assert len(east.left()) == 1
    with connected():  # this test's models serve as that version's
        database.execute_sql("ALTER TABLE recording RENAME COLUMN called TO number")
    east.upgrade(latest)
    east.work()
    until("after its upgrade, it does the waiting work", lambda: not east.left())
    nodes.assert_whole(calls)


@pytest.mark.long
def test_upgrade_loses_nothing_of_calls_in_progress(nodes: Nodes, house, to_come) -> None:
    """Schema, worker and daemon are replaced, each during four calls."""
    north, east, _ = nodes
    ports = Ports.reserve()
    for node in nodes:
        node.settings |= ports.switch
    processes = {"north": north.work(), "east": east.work()}
    until("a snapshot", lambda: (east.folder / "snapshot" / "snapshot.json").exists())
    daemon = east.start("daemon")
    to_come = to_come(_0098_adds=f"SERVES = {OURS!r}\n{ADDS}")

    def migrate() -> None:
        north.upgrade(to_come)
        assert north.output("migrate").split() == ["0098_adds"]
        assert processes["north"].stop() == 0
        north.work()

    def exchange_worker() -> None:
        east.upgrade(to_come)
        assert processes["east"].stop() == 0
        east.work()

    def exchange_daemon() -> None:
        assert daemon.stop() == 0
        east.start("daemon")

    for number, change in enumerate((migrate, exchange_worker, exchange_daemon), start=1):
        switch = east.start_switch(ports, *["--call=+3225550100:fr"] * 4)
        until("four people talk", lambda switch=switch: switch.log_text().count("is connected") == 4)
        change()
        until("they have hung up", lambda switch=switch: switch.log_text().count("has hung up") == 4)
        until(
            f"four recordings more after {change.__name__}",
            lambda number=number: (
                len(queries.recordings(house.tenant).rows) == 4 * number and not east.left()
            ),
        )
        switch.stop()
    assert not queries.not_recorded(house.tenant).rows
    for row in queries.recordings(house.tenant).rows:
        assert row.announced
        assert row.duration_ms > 15_000
    nodes.assert_numbered()
    nodes.assert_nothing_held()


def _has_column(name: str) -> bool:
    with connected():
        return name in {column.name for column in database.get_columns("recording")}
