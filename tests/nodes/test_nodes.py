"""Several nodes with one catalogue and one bucket, when one of them or PostgreSQL dies."""

from __future__ import annotations

import os
import random
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.lease import LeaseTable
from recorder.pipeline import stages as pipeline
from tests.ports import free_ports
from tests.waiting import until

SEED = int(os.environ.get("TEST_SEED", "20261125"))


@pytest.mark.long
@pytest.mark.parametrize("deaths", [2, pytest.param(20, marks=pytest.mark.long)])
def test_dead_node_blocks_nobody_and_resumes_after_restart(nodes, house, deaths) -> None:
    """SIGKILL at random moments to one node's worker, while the others work."""
    chance = random.Random(SEED)
    print(f"TEST_SEED={SEED}")
    north, east, south = nodes
    calls = [node.take() for _ in range(3) for node in nodes]
    others = [north.work(), south.work()]
    for _ in range(deaths):
        process = east.work()
        time.sleep(chance.uniform(0, 0.6))
        assert process.kill() == -signal.SIGKILL
        calls.append(north.take())
        calls.append(east.take())
    names = {folder.name for folder in east.left()}
    assert names, "it was killed too late to leave anything undone"
    until("the others' spools are empty without it", lambda: not north.left() and not south.left())
    assert {folder.name for folder in east.left()} == names, "a node's spool is its own"
    nodes.assert_nothing_held()
    again = east.work()
    until("the dead node's work is done", lambda: not east.left())
    for process in (*others, again):
        assert process.stop() == 0
    nodes.assert_whole(calls)


@pytest.mark.long
def test_takes_of_a_lost_node_are_moved_to_another_spool(nodes, house) -> None:
    """At any stage, while the other node works."""
    north, east, _ = nodes
    calls = [east.take() for _ in range(3)]
    for recording, stages in zip(calls, (0, 1, 3), strict=True):
        for _ in range(stages):
            pipeline.step(east.house.spool / recording, house.clock(), house.services)
    worker = north.work()
    for folder in east.left():
        folder.rename(north.house.spool / folder.name)
    until("the other node does them", lambda: not north.left())
    assert worker.stop() == 0
    nodes.assert_whole(calls)


@pytest.mark.long
def test_expired_recordings_are_erased_once_despite_a_crash(nodes, house, clock) -> None:
    """Every node tries to erase the same recordings; one dies in the middle."""
    chance = random.Random(SEED)
    real = clock()
    clock.at = real - timedelta(days=40)
    over = [nodes.all[0].take() for _ in range(12)]
    clock.at = real
    for recording in over:
        house.work(nodes.all[0].house.spool / recording)
    keeps = nodes.all[1].take()
    processes = [node.start("worker") for node in nodes]
    until("three workers", lambda: all("worker.started" in node.log_text() for node in nodes))

    def destroyed() -> int:
        return sum(queries.recording(house.tenant, each).erased_at is not None for each in over)

    until("the first one is destroyed", lambda: destroyed() >= 1)
    time.sleep(chance.uniform(0, 0.1))
    assert processes[2].kill() == -signal.SIGKILL
    until("the others do the dead one's work", lambda: destroyed() == len(over))
    until("calls are stored meanwhile", lambda: not nodes.all[1].left())
    until("the dead node's lease has expired", lambda: _leases() == 0, 30)
    for process in processes[:2]:
        assert process.stop() == 0
    with connected():
        leaves = Counter(leaf.kind for leaf in LeafTable.select())
    assert leaves["recording.erased"] == len(over)
    counts = [node.log_text().count("recording.erased") for node in nodes]
    assert sum(counts) in (len(over), len(over) - 1), f"not once each: {counts}"
    left = [key for key in house.objects() for recording in over if recording in key]
    assert {key.rpartition("/")[2] for key in left} == {"manifest.json", "amendment-0001.json"}
    assert len(left) == 2 * len(over)
    nodes.assert_whole([keeps])


def _leases() -> int:
    """How many recordings a node has a lease on."""
    with connected():
        return LeaseTable.select().where(LeaseTable.name.startswith("recording:")).count()


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGQUIT, marks=pytest.mark.long)])
def test_every_process_reconnects_to_a_restarted_database(nodes, postgres, how) -> None:
    """No process is restarted: the workers keep their work, and the panel reports the outage and recovers."""
    north, _, _ = nodes
    workers = [node.work() for node in nodes]
    port = free_ports()
    north.settings["ACCORD_WEB_PORT"] = str(port)
    panel = north.start("web")
    until("the panel", lambda: _get(port, "/login")[0] == 200)
    calls = [node.take() for node in nodes]
    until("all stored", lambda: not [each for node in nodes for each in node.left()])

    postgres.stop(how)
    calls += [node.take() for node in nodes for _ in range(2)]
    until("the panel says that it is away", lambda: _get(port, "/login")[0] == 503)
    assert "Rien n" in _get(port, "/login")[1], "nothing is lost, in the visitor's language"
    assert _get(port, "/healthz")[0] == 200, "it is alive"
    until("it is not ready", lambda: _get(port, "/readyz")[0] == 503)
    until("each worker says so", lambda: all("catalogue.away" in worker.log_text() for worker in workers))
    assert [len(node.left()) for node in nodes] == [2, 2, 2], "nothing is deleted meanwhile"

    postgres.start()
    until("the panel is back", lambda: _get(port, "/login")[0] == 200)
    until("waiting takes are stored", lambda: not [each for node in nodes for each in node.left()])
    assert panel.is_running
    assert panel.stop() == 0
    for worker in workers:
        assert worker.stop() == 0
    nodes.assert_whole(calls)
    assert "Traceback" not in "".join(node.log_text() for node in nodes)


def _get(port: int, path: str) -> tuple[int, str]:
    """Status and text; status 0 if nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Language": "fr"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""
