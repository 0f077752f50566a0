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
import logging
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import structlog

from bench.customer_import import run
from bench.recordings import call_end, encode, make_sounds, sounds_in
from bench.statements import Replay, Statement, Task, record_statements
from recorder import config
from recorder.audio.encoded_take import EncodedSound, write_encoded
from recorder.auditlog import checkpoint
from recorder.catalogue import change_counter
from recorder.catalogue.bulk_insert import insert_rows
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.ping import ping
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import utc_now
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.features.fleet.service import node_reports
from recorder.features.live import queries as live
from recorder.features.live.duty import LiveCallRelay
from recorder.features.live.rules import live_row
from recorder.features.notifications.duty import LEASE as NOTIFICATIONS
from recorder.features.search import service as search
from recorder.features.search.rules import CallQuery
from recorder.features.tenants.duty import SnapshotDuty
from recorder.features.usage.duty import EVERY as USAGE_EVERY
from recorder.features.usage.duty import LEASE as USAGE
from recorder.ids import uuid7
from recorder.lifecycle.clock_guard import NAME, ClockGuard
from recorder.pipeline import stages
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties
from recorder.processes.mail_delivery import MailDelivery
from recorder.processes.services import Context
from recorder.prompts.composer import SHIPPED
from recorder.services import Services
from recorder.spool.layout import CallStart, append_mark, close_take, open_take
from tests.postgres import Server
from tests.recovery.many import TEXT

PRODUCTION = {
    "shared_buffers": "512MB",
    "max_connections": "400",
    "max_wal_size": "4GB",
    "listen_addresses": "",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",
}
"""PostgreSQL as in production: it waits for the disk."""

COLUMNS = "customer,number,label,recorded,address,person,role\n"

COSTED = 400
"""Runs of which the cost of a call is the mean."""

WARM_UP, WARM_UP_RATE = 60.0, 100.0
"""Seconds that are not measured, and their calls a second. The server plans a statement anew until a
connection has sent it five times, and a pooled connection lasts a quarter of an hour."""

RELAY_TURNS = 300
"""A minute of a relay's turns, five a second."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line of a customer."""

    tenant: str
    line: str
    number: str


@dataclass
class Installation:
    """A folder with keys, bucket and spools, and the catalogue's URL."""

    folder: Path
    url: str
    chance: random.Random = field(default_factory=lambda: random.Random(20261129))

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ACCORD_NODE_DATA": str(self.folder),
            "ACCORD_CATALOGUE_URL": self.url,
            "ACCORD_STORE_KIND": "directory",
            "ACCORD_STORE_PATH": str(self.folder / "bucket"),
        }

    def make(self, customers: int) -> None:
        """Make the installation with its customers."""
        write_table(self.folder / "customers.csv", customers)
        for words in (("key", "init"), ("migrate",)):
            run(self.environment, *words)
        run(
            self.environment,
            "tenant",
            "import",
            str(self.folder / "customers.csv"),
            "--links",
            str(self.folder / "links"),
        )
        make_sounds(self.folder / "plain", self.chance)

    def open(self) -> Services:
        """Open it in this process, without synchronising files."""
        os.fsync = lambda _descriptor: None  # type: ignore[assignment]
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        context = Context(config.load(None, self.environment), None)
        context.open_catalogue()
        return context.services()

    def lines(self, count: int) -> list[Numbered]:
        """Some lines, each of another customer."""
        with connected():
            rows = list(LineTable.select().where(LineTable.until.is_null()).order_by(LineTable.digits))
        return [
            Numbered(row.tenant_id, row.id, row.number)
            for row in self.chance.sample(rows, min(count, len(rows)))
        ]


@dataclass
class Calls:
    """Calls of some lines, in one spool."""

    services: Services
    lines: list[Numbered]
    sounds: tuple[EncodedSound, ...]
    chance: random.Random
    count: int = 0

    def start(self, node: str) -> CallStart:
        """The start of the next call."""
        line, now = self.lines[self.count % len(self.lines)], utc_now() - timedelta(minutes=2)
        self.count += 1
        return CallStart(
            recording=str(uuid7(now, self.chance.randbytes)),
            tenant=line.tenant,
            line=line.line,
            number=line.number,
            direction="inbound",
            node=node,
            channel=f"channel-{self.count}",
            external_party=Party("e164", f"+3247{self.count:07}"),
            started_at=now,
            formats=("opus",),
            announcement=Announcement("told", 1, "fr", TEXT, ("agreement",), 30, "ab" * 32, 6200),
        )

    def encoded(self) -> Path:
        """The folder of a call that has ended and is encoded."""
        start = self.start("node-0")
        end = call_end(start, self.count)
        folder = open_take(self.services.spool, start)
        append_mark(folder, Marker(end.ended_at, "hangup", {"cause": "NORMAL_CLEARING"}))
        close_take(folder, end)
        plain = {each.name: each for each in self.sounds}
        for name, each in plain.items():
            os.link(each.path, folder / name)
        own = tuple(replace(each, path=folder / each.name) for each in self.sounds)
        write_encoded(encode(folder, start, end, own))
        return folder


@dataclass
class Node:
    """A node's worker, without its takes: what it does whether or not there are calls."""

    name: str
    services: Services
    live: int
    calls: Calls

    def __post_init__(self) -> None:
        spool = self.services.spool / self.name
        shutil.rmtree(spool, ignore_errors=True)  # an earlier run's
        spool.mkdir(parents=True)
        own = replace(self.services, spool=spool, owner=os.urandom(8).hex())
        for _ in range(self.live):
            folder = open_take(spool, self.calls.start(self.name))
            append_mark(folder, Marker(utc_now(), "announcement_finished", {}))
        self.relay = LiveCallRelay(self.name, spool, own.root, revoked=own.revoked)
        self.mail = MailDelivery(own, None)
        self.duties = Duties(own, CheckpointWitnesses(), ClockGuard(spool / NAME, {}), node=self.name)

    def tasks(self) -> list[tuple[str, float, Callable[[], object]]]:
        """Name, interval (seconds) and work of each of its tasks."""
        return [
            ("relay", 0.2, self.relay.turn),
            ("lines", 1.0, lambda: change_counter.revision(change_counter.LINES)),
            ("mail", 3.0, self.mail.turn),
            ("ready", 10.0, ping),
            ("duties", 60.0, self.duties.keep),
        ]


class Watch:
    """What PostgreSQL has used so far."""

    def __init__(self, server_pid: int) -> None:
        self.server_pid = server_pid

    def figures(self) -> dict[str, float]:
        """Server and client seconds of processor time, statements, bytes of WAL."""
        with connected():
            ran, wal = database.execute_sql(
                "SELECT (SELECT sum(calls) FROM pg_stat_statements),"
                " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
            ).fetchone()
        cpu = os.times()
        return {
            "server": server_seconds(self.server_pid),
            "client": cpu.user + cpu.system,
            "statements": float(ran),
            "wal": float(wal),
        }


def server_seconds(pid: int) -> float:
    """The processor time of PostgreSQL: of its processes, and of those that have ended."""
    ticks = 0
    for each in (pid, *child_processes(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += sum(map(int, fields[11 : 15 if each == pid else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def child_processes(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(each) for each in found.stdout.split()]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def times(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in milliseconds."""
    if not values:
        return {}
    return {
        "p50_ms": round(statistics.median(values) * 1000, 2),
        "p95_ms": round(percentile(values, 0.95) * 1000, 2),
    }


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


def write_table(path: Path, customers: int) -> None:
    """A table of so many customers, each with a number that is recorded, and an admin."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(COLUMNS)
        for number in range(customers):
            phone, person = f"+322{5_000_000 + number}", f"admin{number}@example.com,Admin {number}"
            file.write(f"Customer {number:06},{phone},Front desk,yes,{person},customer_admin\n")


def bare() -> None:
    """The smallest transaction: one row, committed."""
    with writing():
        database.execute_sql("INSERT INTO bare (note) VALUES (%s)", ("a row of some thirty characters",))


def change_a_line(tenant: str) -> None:
    """Let every node read a customer's lines again."""
    with writing():
        change_counter.increment(change_counter.LINES, tenant)


def take_turns() -> None:
    """Leave the work of one worker for all to another one, which is not measured: a minute at its start."""
    lease.take(NOTIFICATIONS, "another worker", utc_now(), lease.DURATION)
    lease.take(USAGE, "another worker", utc_now(), 2 * USAGE_EVERY)


def take_lease() -> None:
    owner = os.urandom(8).hex()
    lease.take(f"recording:{owner}", owner, utc_now())
    lease.release(f"recording:{owner}", owner)


def live_call(calls: Calls) -> None:
    """A call begins, and ends, in the list of live calls, as the only one of its node."""
    start, now = calls.start(f"node-{calls.count}"), utc_now()
    row = live_row(start, (), now)
    assert row is not None
    live.change(start.node, [], [row], now, {row.id: row})
    live.change(start.node, [row.id], [], now, {})


def stored(folder: Path, services: Services) -> float:
    """Seal, store and list a call; how long listing it took, in seconds."""
    assert stages.step(folder, utc_now(), services)
    assert stages.step(folder, utc_now(), services)
    start = time.perf_counter()
    stages.step(folder, utc_now(), services)
    assert not folder.exists()
    return time.perf_counter() - start


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


def note_all_signed() -> None:
    """As if every log had just been signed: a worker's round begins where nothing is due."""
    now = utc_now()
    with writing():
        CheckpointTable.delete().execute()
        rows = [
            {
                "id": f"{row.id}/1", "tenant_id": row.id, "number": 1, "epoch": 0, "size": row.log_size,
                "root": "", "at": now, "note": "", "place": checkpoint.place_of(row.id, 1), "stored_at": now,
            }
            for row in TenantTable.select()
        ]  # fmt: skip
        insert_rows(CheckpointTable, rows)


def make_calls(installation: Installation, services: Services, count: int) -> Calls:
    sounds = tuple(sounds_in(installation.folder / "plain"))
    return Calls(services, installation.lines(count), sounds, installation.chance)


@dataclass
class Ticks:
    """A monotonic clock that recordings move forward."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds


def start_nodes(services: Services, calls: Calls, options: argparse.Namespace) -> list[tuple[Node, Ticks]]:
    """Nodes that have done each of their tasks once."""
    found = []
    for number in range(options.nodes):
        node, clock = Node(f"node-{number}", services, options.live, calls), Ticks()
        node.relay.monotonic = clock.monotonic
        take_turns()
        for _name, _interval, work in node.tasks():
            work()
        found.append((node, clock))
    return found


def record_tasks(
    nodes: list[tuple[Node, Ticks]], services: Services, calls: Calls, options: argparse.Namespace
) -> Recording:
    """Let the product do the work of nodes and calls, and record its statements."""
    tasks = []
    for node, clock in nodes:
        take_turns()
        for name, interval, work in node.tasks():
            turns = [_record(work, clock, interval) for _ in range(RELAY_TURNS if name == "relay" else 1)]
            tasks.append(Task(name, calls.chance.random() * interval, interval, tuple(turns)))
    folders = [calls.encoded() for _ in range(options.calls)]
    listed = [_record(partial(stored, folder, services)) for folder in folders]
    live = [_record(partial(live_call, calls)) for _ in folders]
    tenants = [each.tenant for each in calls.lines]
    pages = [
        _record(lambda: search.list_calls(CallQuery(calls.chance.choice(tenants)), limit=50))
        for _ in range(min(500, options.calls))
    ]
    return Recording(tasks, listed, live, pages)


def _record(
    work: Callable[[], object], clock: Ticks | None = None, seconds: float = 0.0
) -> tuple[Statement, ...]:
    with record_statements() as statements:
        work()
    if clock is not None:
        clock.seconds += seconds
    return tuple(statements)


@dataclass(frozen=True, slots=True)
class Recording:
    """The statements of all nodes' tasks, and of each call: listing it, its time among live calls, and a page
    of its customer's calls."""

    nodes: list[Task]
    calls: list[tuple[Statement, ...]]
    live: list[tuple[Statement, ...]]
    pages: list[tuple[Statement, ...]]

    def tasks(self, rate: float, seconds: float) -> list[Task]:
        """Those of the warm-up, and of ``seconds`` with so many calls a second."""
        due = [number / WARM_UP_RATE for number in range(round(WARM_UP * WARM_UP_RATE))]
        due += [WARM_UP + number / rate for number in range(round(rate * seconds))]
        assert len(due) <= len(self.calls), "record more calls: --calls"
        found = list(self.nodes)
        for number, at in enumerate(due):
            found.append(Task("call", at, 0, (self.calls[number],)))
            found.append(Task("live call", at, 0, (self.live[number],)))
            found.append(Task("page", at, 0, (self.pages[number % len(self.pages)],)))
        return found


@contextmanager
def copy_database(url: str, name: str, origin: str) -> Iterator[str]:
    """A database that is a copy of another on the server at ``url``, for the time of a block; its URL."""
    server = psycopg.conninfo.make_conninfo(url, dbname="postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (origin,)
        )
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {origin}")
        connection.execute("CHECKPOINT")
        try:
            yield psycopg.conninfo.make_conninfo(url, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def separate_cores(server_pid: int) -> None:
    """Give PostgreSQL the first core, and this process the others."""
    first, *others = sorted(os.sched_getaffinity(0))
    assert others, "the server and its clients need a core each"
    for pid in (server_pid, *child_processes(server_pid)):
        os.sched_setaffinity(pid, {first})
    os.sched_setaffinity(0, set(others))


def measure_limit(
    installation: Installation, watch: Watch, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """All nodes on one core of the server, with more and more calls a second."""
    origin = psycopg.conninfo.conninfo_to_dict(installation.url)["dbname"]
    services = installation.open()
    calls = make_calls(installation, services, options.calls)
    note_all_signed()
    nodes = start_nodes(services, calls, options)
    found = []
    with copy_database(installation.url, "accord_before", str(origin)):
        recording = record_tasks(nodes, services, calls, options)
        separate_cores(watch.server_pid)
        for rate in map(float, options.rates.split(",")):
            with copy_database(installation.url, "accord_replay", "accord_before") as url:
                found.append(measure_rate(url, recording, watch, options, rate))
            print(json.dumps(found[-1], indent=1), file=sys.stderr, flush=True)
    return found


def measure_rate(
    url: str, recording: Recording, watch: Watch, options: argparse.Namespace, rate: float
) -> dict[str, Any]:
    """What the server does at so many calls a second."""
    noted = []
    replay = Replay(url, options.connections, WARM_UP, options.seconds)
    replay.run(recording.tasks(rate, options.seconds), lambda: noted.append(watch.figures()))
    before, after = noted
    with psycopg.connect(url) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM recording").fetchone() or (0,)
    seconds, done = options.seconds, replay.elapsed
    return {
        "offered": rate,
        "calls_a_second": round(len(done.get("call", ())) / seconds, 1),
        "recordings": rows,
        "server_cores": round((after["server"] - before["server"]) / seconds, 3),
        "client_cores": round((after["client"] - before["client"]) / seconds, 3),
        "statements_a_second": round(replay.statements / seconds),
        "wal_bytes_a_second": round((after["wal"] - before["wal"]) / seconds),
        "tasks": {
            name: {"a_second": round(len(values) / seconds, 1), **times(values)}
            for name, values in done.items()
        },
        "differing": dict(replay.differing.most_common(12)),
    }


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
