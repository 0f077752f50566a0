"""Many nodes and many customers on one PostgreSQL: what each costs the server, and where it ends.

    python -m bench.fleet [--customers 20000] [--nodes 200] [--rates 10,20,40,80] [--seconds 20] [--calls 400]
        [--installation FOLDER --url URL]

``accord tenant import`` makes the customers with a number and an admin each; every log is signed once. Then
the product's own functions run as nodes and panels call them. First each alone, again and again: the server's
processor time and statements, this client's processor time, and WAL, each of one run. Then all together:
every node looks for commands, changed lines and mail and reports itself as often as a worker does, from
``--processes`` clients, while calls are sealed, stored and listed at each of the rates. The folder that
stands for the bucket and the spools is not synchronised to the disk; PostgreSQL's files are.

*bare* is one row inserted and committed, on the same connections, to compare machines by. ``--installation``
and ``--url`` measure an installation that an earlier run left behind (``--keep`` leaves it, and waits).
Prints JSON.
"""

from __future__ import annotations

import argparse
import heapq
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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bench.customer_import import run
from bench.recordings import TEXT, call_end, encode, make_sounds, sounds_in
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

PRODUCTION = {
    "shared_buffers": "512MB",
    "max_connections": "400",
    "max_wal_size": "4GB",
    "listen_addresses": "",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",
}
"""PostgreSQL as in production: it waits for the disk."""

STATEMENTS = """
SELECT calls, round(total_exec_time::numeric, 1), round((total_exec_time / calls)::numeric, 3),
       rows / calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 160)
FROM pg_stat_statements WHERE query NOT LIKE '%%pg_stat%%' ORDER BY total_exec_time DESC LIMIT 12
"""

COLUMNS = "customer,number,label,recorded,address,person,role\n"

THREADS = 12
LATE = 0.95
"""The share of the offered calls that must be stored for a rate to count as carried."""


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
        spool.mkdir(parents=True, exist_ok=True)
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
        self._pid = server_pid

    def figures(self) -> dict[str, float]:
        """Server and client seconds of processor time, statements, bytes of WAL."""
        with connected():
            ran, wal = database.execute_sql(
                "SELECT (SELECT sum(calls) FROM pg_stat_statements),"
                " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
            ).fetchone()
        cpu = os.times()
        return {
            "server": server_seconds(self._pid),
            "client": cpu.user + cpu.system,
            "statements": float(ran),
            "wal": float(wal),
        }


def server_seconds(pid: int) -> float:
    """The processor time of PostgreSQL: of its processes, and of those that have ended."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    ticks = 0
    for each in (pid, *map(int, children.stdout.split())):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += sum(map(int, fields[11 : 15 if each == pid else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


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
    calls = make_calls(installation, services, options.calls)
    node = Node("node-0", services, options.live, calls)
    found: dict[str, Any] = {"bare": cost(watch, bare, options.calls)}
    snapshots = SnapshotDuty(services, (), SHIPPED)
    found["snapshot, first"] = cost(watch, snapshots.refresh, 1)
    found["snapshot, unchanged"] = cost(watch, snapshots.refresh, 50)

    def change_and_refresh() -> None:
        change_a_line(calls.lines[0].tenant)
        assert snapshots.refresh()

    found["snapshot, a line changed"] = cost(watch, change_and_refresh, 2)
    forget_checkpoints(installation)
    tenants = [each.tenant for each in calls.lines]
    found["log signed"] = cost(watch, lambda: sign_log(tenants.pop(), services), min(50, options.calls))
    note_all_signed()
    for name, _interval, work in node.tasks():
        take_turns()
        work()
        found[name] = cost(watch, work, options.rounds if name == "duties" else 100)
    found["lease"] = cost(watch, take_lease, 100)
    found["live call"] = cost(watch, partial(live_call, calls), 100)
    folders = [calls.encoded() for _ in range(options.calls)]
    listed = list[float]()
    found["call"] = cost(watch, lambda: listed.append(stored(folders.pop(), services)), options.calls)
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
class Load:
    """Runs tasks when they are due, on some threads, and notes how long each took."""

    until: float
    elapsed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    _due: list[tuple[float, int, str, float, Callable[[], object]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def add(self, name: str, first: float, interval: float, work: Callable[[], object]) -> None:
        """Do ``work`` at ``first`` and every ``interval`` seconds after; with 0, once."""
        with self._lock:
            self._count += 1
            heapq.heappush(self._due, (first, self._count, name, interval, work))

    def run(self) -> None:
        threads = [threading.Thread(target=self._serve) for _ in range(THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _serve(self) -> None:
        while (now := time.monotonic()) < self.until:
            with self._lock:
                task = heapq.heappop(self._due) if self._due and self._due[0][0] <= now else None
            if task is None:
                time.sleep(0.002)
                continue
            due, _, name, interval, work = task
            start = time.monotonic()
            try:
                result = work()
            except Exception as error:
                self.errors[f"{name}: {type(error).__name__} {str(error)[:90]}"] += 1
            else:
                duration = (
                    result if name == "call" and isinstance(result, float) else time.monotonic() - start
                )
                self.elapsed[name].append(duration)
                self.late[name].append(start - due)
            if interval:
                self.add(name, max(due + interval, time.monotonic()), interval, work)


def client(installation: Installation, options: argparse.Namespace) -> None:
    """One process of the mixed run: says ``ready``, and begins at a line on standard input."""
    services = installation.open()
    services = replace(services, spool=services.spool / f"client-{options.client}")
    services.spool.mkdir(parents=True, exist_ok=True)
    installation.chance.seed(options.client)
    calls = make_calls(installation, services, 2000)
    nodes = [
        Node(f"node-{options.client}-{number}", services, options.live, calls)
        for number in range(options.nodes)
    ]
    folders = [calls.encoded() for _ in range(round(options.rate * options.seconds))]
    print("ready", flush=True)
    sys.stdin.readline()
    begin, before = time.monotonic(), os.times()
    load = Load(begin + options.seconds)
    for node in nodes:
        for name, interval, work in node.tasks():
            load.add(name, begin + calls.chance.random() * interval, interval, work)
    tenants = [each.tenant for each in calls.lines]
    pages = lambda: search.list_calls(CallQuery(calls.chance.choice(tenants)), limit=50)  # noqa: E731
    load.add("page", begin, 1 / max(options.rate, 1), pages)
    for number, folder in enumerate(folders):
        at = begin + number / options.rate
        load.add("live call", at, 0, partial(live_call, calls))
        load.add("call", at, 0, partial(stored, folder, services))
    load.run()
    after = os.times()
    figures = {
        "cpu": after.user + after.system - before.user - before.system,
        "elapsed": load.elapsed,
        "late": {name: percentile(values, 0.95) for name, values in load.late.items()},
        "errors": load.errors,
    }
    print(json.dumps(figures), flush=True)


def together(
    installation: Installation, watch: Watch, options: argparse.Namespace, rate: float
) -> dict[str, Any]:
    """All nodes at once, with so many calls a second."""
    words = [
        sys.executable, "-m", "bench.fleet", "--installation", str(installation.folder), "--url",
        installation.url, "--nodes", str(options.nodes // options.processes), "--live", str(options.live),
        "--rate", str(rate / options.processes), "--seconds", str(options.seconds),
    ]  # fmt: skip
    clients = [
        subprocess.Popen(
            [*words, "--client", str(number + round(rate) * 100)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for number in range(1, options.processes + 1)
    ]  # fmt: skip
    for each in clients:
        assert each.stdout is not None
        assert each.stdout.readline().strip() == "ready"
    take_turns()
    with connected():
        database.execute_sql("SELECT pg_stat_statements_reset()")
    before = watch.figures()
    for each in clients:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    time.sleep(options.seconds / 2)
    with connected():
        (connections,) = database.execute_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'accord'"
        ).fetchone()
    found = [json.loads(each.communicate()[0]) for each in clients]
    after = watch.figures()
    with connected():
        statements = database.execute_sql(STATEMENTS).fetchall()
    elapsed: dict[str, list[float]] = defaultdict(list)
    for each in found:
        for name, values in each["elapsed"].items():
            elapsed[name] += values
    seconds, count = options.seconds, len(elapsed["call"])
    return {
        "nodes": options.nodes,
        "connections": connections,
        "offered": rate,
        "calls_a_second": round(count / seconds, 1),
        "listing": times(elapsed["call"]),
        "server_cores": round((after["server"] - before["server"]) / seconds, 3),
        "client_cores": round(sum(each["cpu"] for each in found) / seconds, 3),
        "statements_a_second": round((after["statements"]) / seconds),
        "wal_bytes_a_second": round((after["wal"] - before["wal"]) / seconds),
        "of_nodes": {
            name: {"a_second": round(len(values) / seconds, 1), **times(values)}
            for name, values in elapsed.items()
        },
        "late_s": {name: max(each["late"].get(name, 0) for each in found) for name in elapsed},
        "errors": sum((Counter(each["errors"]) for each in found), Counter[str]()),
        "statements": [" | ".join(map(str, row)) for row in statements],
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
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rates", default="10,20,40,80")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live", type=int, default=5)
    parser.add_argument("--part", choices=("costs", "together", "both"), default="both")
    parser.add_argument("--installation", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client is not None:
        client(Installation(options.installation, options.url), options)
        return
    figures: dict[str, Any] = {"customers": options.customers}
    with installed(options) as (installation, pid):
        watch = Watch(pid)
        if options.part != "together":
            figures["costs"] = costs(installation, watch, options)
            print(json.dumps(figures, indent=1), file=sys.stderr, flush=True)
        if options.part != "costs":
            installation.open()
            figures["together"] = []
            for rate in map(float, options.rates.split(",")):
                figures["together"].append(together(installation, watch, options, rate))
                print(json.dumps(figures["together"][-1], indent=1), file=sys.stderr, flush=True)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
