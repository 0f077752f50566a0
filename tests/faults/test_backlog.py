"""A spool that is full of calls after a long outage, worked off fairly while new calls come."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import RecordingTable
from recorder.spool import layout
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.faults.conftest import until
from tests.faults.crowd import Crowd, Customer
from tests.faults.processes import Process, Processes
from tests.ports import free_ports

SHARES = {"crowd": 0.90, "middle": 0.07, "small": 0.02, "tiny": 0.01}


def done(*customers: Customer) -> list[int]:
    """How many recordings of each are in the catalogue."""
    with connected():
        return [
            RecordingTable.select().where(RecordingTable.tenant == each.tenant).count() for each in customers
        ]


def processor_seconds(process: Process) -> float:
    """What the worker itself used, without its encoders."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def work_off(
    house,
    processes: Processes,
    *,
    count: int,
    bound: float,
    every: float,
    limit: float,
    encoded: bool = False,
) -> dict:
    """``count`` calls wait, of customers with very uneven shares; every so many seconds a new call of another
    one comes, which must be kept within ``bound`` seconds.  What was measured."""
    crowd = Crowd(house)
    customers = {name: crowd.customer(name) for name in SHARES}
    newcomer = crowd.customer("newcomer")
    for name, share in SHARES.items():  # the crowd's calls are the oldest
        for _ in range(max(2, round(count * share))):
            crowd.call(customers[name], encoded)
    began = time.monotonic()
    process = processes.worker()
    until(lambda: process.log("worker.started"), "a worker")
    waited: list[float] = []
    coming: dict[str, float] = {}
    when_tiny_was_done: list[int] = []
    due = time.monotonic() + every
    while True:
        now = time.monotonic()
        assert now - began < limit, done(*customers.values())
        gone = [each for each in coming if not (house.spool / each).exists()]
        waited += [now - coming.pop(each) for each in gone]
        late = [each for each, since in coming.items() if now - since > bound]
        assert not late, f"new calls wait for more than {bound} s"
        counts = done(*customers.values())
        if not when_tiny_was_done and counts[3] == len(customers["tiny"].calls):
            when_tiny_was_done = counts
        if sum(counts) == sum(len(each.calls) for each in customers.values()):
            break
        if now >= due:
            due = now + every
            coming[crowd.call(newcomer)] = now
        time.sleep(0.2)
    took = time.monotonic() - began
    until(lambda: not list(layout.finished_takes(house.spool)), "an empty spool")
    total = sum(len(each.calls) for each in (*customers.values(), newcomer))
    assert sum(done(*customers.values(), newcomer)) == total
    tiny = len(customers["tiny"].calls)
    assert max(when_tiny_was_done) <= 3 * tiny + 4, "everybody had their turn"
    used, memory = processor_seconds(process), process.memory()
    assert process.stop() == 0
    return {
        "takes": total,
        "seconds": round(took, 1),
        "takes_per_second": round(total / took, 2),
        "processor_ms_per_take_without_encoding": round(1000 * used / total, 1),
        "memory_mb": round(memory / 1e6, 1),
        "new_calls": len(newcomer.calls),
        "longest_wait_of_a_new_call_s": round(max(waited, default=0.0), 1),
        "when_tiny_was_done": when_tiny_was_done,
        "waits": len(process.log("take.delayed")),
    }


@pytest.mark.long
def test_tenants_take_turns_after_an_outage(house, processes: Processes) -> None:
    measured = work_off(house, processes, count=26, bound=60, every=1, limit=200)
    assert measured["waits"] == 0
    assert measured["new_calls"] > 0


@pytest.fixture
def seaweedfs(tmp_path: Path) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path / "seaweedfs", free_ports(PORTS))
    server.start()
    yield server
    server.stop(seconds=0)


@pytest.mark.long
@pytest.mark.timeout(15000)
def test_ten_thousand_takes(house, processes: Processes, seaweedfs: SeaweedFS) -> None:
    """The store was away for long; what waits is encoded already, what comes is not.  ``ACCORD_TAKES`` makes
    it more or fewer."""
    processes.store_in(seaweedfs.bucket())
    processes.settings["ACCORD_WORKER_PROCESSES"] = "2"
    count = int(os.environ.get("ACCORD_TAKES", "10000"))
    measured = work_off(house, processes, count=count, bound=120, every=5, limit=14000, encoded=True)
    print(measured)
    assert measured["memory_mb"] < 400
