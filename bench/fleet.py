"""Many nodes and many customers on one PostgreSQL: what each costs the server, and how much it carries.

    python -m bench.fleet [--customers 20000] [--nodes 200] [--rates 0,20,40,...] [--seconds 30]
        [--calls 12000] [--part costs|limit|both] [--installation FOLDER --url URL]

``accord tenant import`` makes the customers with a number and an admin each; every log is signed once.

*costs*: the product's own functions run as nodes and panels call them, each alone, again and again: the
server's processor time and statements, this client's processor time, and WAL, each of one run. *bare* is one
row inserted and committed, on the same connections, to compare machines by.

*limit*: the product's functions do the work of every node (a minute of its tasks) and of many calls once, and
their statements are recorded. These are then sent again (``bench/statements.py``), on copies of the database
as it was before: every node's tasks as often as a worker does them, and calls at each of the rates, every
call with its time among live calls and a page of its customer's calls. PostgreSQL has one core to itself, the
client the others. Above the limit, calls are fewer than offered.

The folder that stands for the bucket and the spools is not synchronised to the disk; PostgreSQL's files
are. ``--installation`` and ``--url`` measure an installation that an earlier run left behind (``--keep``
leaves it, and waits). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.fleet_installation import (
    Installation,
    Node,
    live_call,
    make_calls,
    note_all_signed,
    stored,
    take_turns,
)
from bench.fleet_limit import measure_limit
from bench.server_usage import Watch, times
from recorder.auditlog import checkpoint
from recorder.catalogue import change_counter
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.clock import utc_now
from recorder.features.call_list import service as search
from recorder.features.call_list.rules import CallQuery
from recorder.features.fleet.service import node_reports
from recorder.features.tenants.duty import SnapshotDuty
from recorder.prompts.composer import SHIPPED
from recorder.services import Services
from tests.postgres import Server

PRODUCTION = {
    "shared_buffers": "512MB",
    "max_connections": "400",
    "max_wal_size": "4GB",
    "listen_addresses": "",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",
}
"""PostgreSQL as in production: it waits for the disk."""

COSTED = 400
"""Runs of which the cost of a call is the mean."""


def cost(watch: Watch, work: Callable[[], object], count: int) -> dict[str, Any]:
    """What one run of ``work`` costs, as the mean of ``count``."""
    before, elapsed = watch.figures(), list[float]()
    for _ in range(count):
        start = time.perf_counter()
        work()
        elapsed.append(time.perf_counter() - start)
    after = watch.figures()
    each = {name: (after[name] - before[name]) / count for name in after}
    figures = {
        "runs": count,
        **times(elapsed),
        "server_cpu_ms": round(each["server"] * 1000, 3),
        "client_cpu_ms": round(each["client"] * 1000, 3),
        "statements": round(each["statements"], 1),
        "wal_bytes": round(each["wal"]),
    }
    print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures


def bare() -> None:
    """The smallest transaction: one row, committed."""
    with writing():
        database.execute_sql("INSERT INTO bare (note) VALUES (%s)", ("a row of some thirty characters",))


def change_a_line(tenant: str) -> None:
    """Let every node read a customer's lines again."""
    with writing():
        change_counter.increment(change_counter.LINES, tenant)


def take_lease() -> None:
    owner = os.urandom(8).hex()
    lease.take(f"recording:{owner}", owner, utc_now())
    lease.release(f"recording:{owner}", owner)


def costs(installation: Installation, watch: Watch, options: argparse.Namespace) -> dict[str, Any]:
    """What each thing costs alone."""
    services = installation.open()
    with writing():
        database.execute_sql("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, note text)")
    calls = make_calls(installation, services, COSTED)
    node = Node("node-0", services, options.live, calls)
    found: dict[str, Any] = {"bare": cost(watch, bare, COSTED)}
    snapshots = SnapshotDuty(services, (), SHIPPED)
    found["snapshot, first"] = cost(watch, snapshots.refresh, 1)
    found["snapshot, unchanged"] = cost(watch, snapshots.refresh, 50)

    def change_and_refresh() -> None:
        change_a_line(calls.lines[0].tenant)
        assert snapshots.refresh()

    found["snapshot, a line changed"] = cost(watch, change_and_refresh, 2)
    forget_checkpoints(installation)
    tenants = [each.tenant for each in calls.lines]
    found["log signed"] = cost(watch, lambda: sign_log(tenants.pop(), services), 50)
    note_all_signed()
    for name, _interval, work in node.tasks():
        take_turns()
        work()
        found[name] = cost(watch, work, options.rounds if name == "duties" else 100)
    found["lease"] = cost(watch, take_lease, 100)
    found["live call"] = cost(watch, partial(live_call, calls), 100)
    folders = [calls.encoded() for _ in range(COSTED)]
    listed = list[float]()
    found["call"] = cost(watch, lambda: listed.append(stored(folders.pop(), services)), COSTED)
    found["call"]["listing"] = times(listed)
    tenants = [each.tenant for each in calls.lines]
    found["page of calls"] = cost(
        watch, lambda: search.list_calls(CallQuery(calls.chance.choice(tenants)), limit=50), 100
    )
    found["nodes' page"] = cost(watch, node_reports, 20)
    return found


def sign_log(tenant: str, services: Services) -> None:
    """Sign a log, and put the checkpoint into the bucket."""
    checkpoint.sign(tenant, services, utc_now())
    checkpoint.publish(tenant, services, utc_now())


def forget_checkpoints(installation: Installation) -> None:
    """Begin every log's checkpoints anew, in catalogue and bucket."""
    shutil.rmtree(installation.folder / "bucket" / "checkpoints", ignore_errors=True)
    with writing():
        CheckpointTable.delete().execute()


@contextmanager
def installed(options: argparse.Namespace) -> Iterator[tuple[Installation, int]]:
    """The installation to measure, and the process of its server."""
    if options.installation is not None:
        pid = int((options.installation / "server.pid").read_text())
        yield Installation(options.installation, options.url), pid
        return
    server = Server(PRODUCTION)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="accord-fleet-") as name,
            server.database(empty=True) as url,
        ):
            installation = Installation(Path(name), url)
            installation.make(options.customers)
            with connected_to(installation):
                database.execute_sql("CREATE EXTENSION pg_stat_statements")
            (installation.folder / "server.pid").write_text(str(server.pid))
            if options.keep:
                print(f"--installation {name} --url '{url}'", file=sys.stderr, flush=True)
                threading.Event().wait()
            yield installation, server.pid
    finally:
        server.close()


@contextmanager
def connected_to(installation: Installation) -> Iterator[None]:
    installation.open()
    with connected():
        yield


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--rates", default="0,40,80,120,160,200")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--calls", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live", type=int, default=5)
    parser.add_argument("--part", choices=("costs", "limit", "both"), default="both")
    parser.add_argument("--installation", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {"customers": options.customers, "nodes": options.nodes}
    with installed(options) as (installation, pid):
        watch = Watch(pid)
        if options.part != "limit":
            figures["costs"] = costs(installation, watch, options)
            print(json.dumps(figures, indent=1), file=sys.stderr, flush=True)
        if options.part != "costs":
            figures["limit"] = measure_limit(installation, watch, options)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
