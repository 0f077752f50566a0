"""An installation with many customers, nodes and calls, without a switch; for ``bench/fleet.py``."""

from __future__ import annotations

import logging
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import structlog

from bench.customer_import import run
from bench.recordings import call_end, encode, make_sounds, sounds_in
from recorder import config
from recorder.audio.encoded_take import EncodedSound, write_encoded
from recorder.auditlog import checkpoint
from recorder.catalogue import change_counter
from recorder.catalogue.bulk_insert import insert_rows
from recorder.catalogue.database import connected, writing
from recorder.catalogue.ping import ping
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import utc_now
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.features.live import queries as live
from recorder.features.live.duty import LiveCallRelay
from recorder.features.live.rules import live_row
from recorder.features.notifications.duty import LEASE as NOTIFICATIONS
from recorder.features.usage.duty import EVERY as USAGE_EVERY
from recorder.features.usage.duty import LEASE as USAGE
from recorder.ids import uuid7
from recorder.lifecycle.clock_guard import NAME, ClockGuard
from recorder.pipeline import stages
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties
from recorder.processes.mail_delivery import MailDelivery
from recorder.processes.services import Context
from recorder.services import Services
from recorder.spool.layout import CallStart, append_marker, close_take, open_take
from tests.recovery.many import TEXT

COLUMNS = "tenant,number,label,recorded,address,person,role\n"


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
        append_marker(folder, Marker(end.ended_at, "hangup", {"cause": "NORMAL_CLEARING"}))
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
            append_marker(folder, Marker(utc_now(), "announcement_finished", {}))
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


def write_table(path: Path, customers: int) -> None:
    """A table of so many customers, each with a number that is recorded, and an admin."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(COLUMNS)
        for number in range(customers):
            phone, person = f"+322{5_000_000 + number}", f"admin{number}@example.com,Admin {number}"
            file.write(f"Customer {number:06},{phone},Front desk,yes,{person},customer_admin\n")


def make_calls(installation: Installation, services: Services, count: int) -> Calls:
    sounds = tuple(sounds_in(installation.folder / "plain"))
    return Calls(services, installation.lines(count), sounds, installation.chance)


def take_turns() -> None:
    """Leave the work of one worker for all to another one, which is not measured: a minute at its start."""
    lease.take(NOTIFICATIONS, "another worker", utc_now(), lease.DURATION)
    lease.take(USAGE, "another worker", utc_now(), 2 * USAGE_EVERY)


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
