"""Nodes are upgraded one after another during calls: the first one migrates, and the new schema serves the
others."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.catalogue import queries, schema
from recorder.catalogue.database import connected, database
from tests.nodes.conftest import Node, Nodes, Process
from tests.ports import free_ports
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

    north.migrations = to_come(_0098_adds=adds)
    assert north.run("migrate").stdout.decode().split() == ["0098_adds"]
    assert _has_column("mood")
    assert before.kill(signal.SIGTERM) == 0
    new = north.work()
    calls += [node.take() for node in (north, east)]
    until("both versions work", lambda: not north.left() and not east.left())
    assert old.alive
    assert old.kill() == -signal.SIGKILL
    calls.append(east.take())
    old = east.work()
    until("a restarted old version works, too", lambda: not east.left())

    # The next migration serves no older version: an old worker refuses to start, and loses nothing.
    assert old.kill(signal.SIGTERM) == 0
    assert new.kill(signal.SIGTERM) == 0
    north.migrations = to_come(_0098_adds=adds, _0099_breaks=BREAKS)
    assert north.run("migrate").stdout.decode().split() == ["0099_breaks"]
    calls.append(east.take())
    refused = east.run("worker")
    assert refused.returncode != 0
    assert b"newer version of Accord" in refused.stderr
    assert b"install that version" in refused.stderr
    assert len(east.left()) == 1
    with connected():  # this test's models serve as that version's
        database.execute_sql("ALTER TABLE recording RENAME COLUMN called TO number")
    east.migrations = north.migrations
    east.work()
    until("after its upgrade, it does the waiting work", lambda: not east.left())
    nodes.assert_whole(calls)


@pytest.mark.long
def test_upgrade_loses_nothing_of_calls_in_progress(nodes: Nodes, house, to_come) -> None:
    """Schema, worker and daemon are replaced, each during four calls."""
    north, east, _ = nodes
    event_port = free_ports(2)
    listen_port = event_port + 1
    for node in nodes:
        node.environment |= {
            "ACCORD_SWITCH_PASSWORD": "only-in-this-test",
            "ACCORD_SWITCH_PORT": str(event_port),
            "ACCORD_SWITCH_LISTEN_PORT": str(listen_port),
        }
    processes = {"north": north.work(), "east": east.work()}
    until("a snapshot", lambda: (east.data / "snapshot" / "snapshot.json").exists())
    daemon = east.start("daemon")
    to_come = to_come(_0098_adds=f"SERVES = {OURS!r}\n{ADDS}")

    def migrate() -> None:
        north.migrations = to_come
        assert north.run("migrate").stdout.decode().split() == ["0098_adds"]
        assert processes["north"].kill(signal.SIGTERM) == 0
        north.work()

    def exchange_worker() -> None:
        east.migrations = to_come
        assert processes["east"].kill(signal.SIGTERM) == 0
        east.work()

    def exchange_daemon() -> None:
        assert daemon.kill(signal.SIGTERM) == 0
        east.start("daemon")

    for number, change in enumerate((migrate, exchange_worker, exchange_daemon), start=1):
        switch = _calls(east, event_port, listen_port)
        until("four people talk", lambda switch=switch: switch.log_text().count("is connected") == 4)
        change()
        until("they have hung up", lambda switch=switch: switch.log_text().count("has hung up") == 4)
        until(
            f"four recordings more after {change.__name__}",
            lambda number=number: (
                len(queries.recordings(house.tenant).rows) == 4 * number and not east.left()
            ),
        )
        switch.kill(signal.SIGTERM)
    assert not queries.not_recorded(house.tenant).rows
    for row in queries.recordings(house.tenant).rows:
        assert row.announced
        assert row.duration_ms > 15_000
    nodes.assert_numbered()
    nodes.assert_nothing_held()


def _calls(node: Node, event_port: int, listen_port: int) -> Process:
    """A practice switch with four callers, who hang up after their conversation."""
    log = node.data / f"switch-{len(node.started)}.log"
    argv = [sys.executable, "-m", "demo.practice", f"--event-port={event_port}"]
    argv += [f"--daemon=127.0.0.1:{listen_port}", *["--call=+3225550100:fr"] * 4, "--stay"]
    with open(log, "wb") as out:
        popen = subprocess.Popen(argv, env=node.environment, stdout=out, stderr=subprocess.STDOUT)
    node.started.append(Process(popen, log))
    return node.started[-1]


def _has_column(name: str) -> bool:
    with connected():
        return name in {column.name for column in database.get_columns("recording")}
