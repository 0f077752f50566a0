"""How many calls one PostgreSQL carries beside many nodes; the second part of ``bench/fleet.py``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from bench.fleet_installation import (
    Calls,
    Installation,
    Node,
    live_call,
    make_calls,
    note_all_signed,
    stored,
    take_turns,
)
from bench.server_usage import Watch, child_processes, times
from bench.statements import Replay, Statement, Task, record_statements
from recorder.features.call_list import service as search
from recorder.features.call_list.rules import CallQuery
from recorder.services import Services
from tests.clock import MonotonicClock

WARM_UP, WARM_UP_RATE = 60.0, 100.0
"""Seconds that are not measured, and their calls a second. The server plans a statement anew until a
connection has sent it five times, and a pooled connection lasts a quarter of an hour."""

RELAY_TURNS = 300
"""A minute of a relay's turns, five a second."""


def start_nodes(
    services: Services, calls: Calls, options: argparse.Namespace
) -> list[tuple[Node, MonotonicClock]]:
    """Nodes that have done each of their tasks once."""
    found = []
    for number in range(options.nodes):
        node, clock = Node(f"node-{number}", services, options.live, calls), MonotonicClock()
        node.relay.monotonic = clock
        take_turns()
        for _name, _interval, work in node.tasks():
            work()
        found.append((node, clock))
    return found


def record_tasks(
    nodes: list[tuple[Node, MonotonicClock]], services: Services, calls: Calls, options: argparse.Namespace
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
    work: Callable[[], object], clock: MonotonicClock | None = None, seconds: float = 0.0
) -> tuple[Statement, ...]:
    with record_statements() as statements:
        work()
    if clock is not None:
        clock.at += seconds
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
