"""Searching the call list among 10,000, 100,000 and a million calls, on SQLite and PostgreSQL, beside `LIKE`.

    python -m bench.search [--rows 10000,100000] [--folder FOLDER] [--databases sqlite,postgresql]

Each query runs as the page runs it: the page's calls with their rows, the positions of its neighbours, and
the count. `LIKE` is what the list did before: the same page of recordings, without unrecorded calls and
without a count, from a scan of the table. Databases lie in FOLDER (default: the system's temporary folder)
and are removed afterwards. One call in ten is not recorded; the numbers follow a power law, 147 of them in a
thousand calls; the calls are spread over two years.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.catalogue import queries as catalogue
from recorder.catalogue import schema
from recorder.catalogue.database import connected, database, open_catalogue, writing
from recorder.catalogue.mappers import recording_columns
from recorder.catalogue.records import ObjectRow, RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.features.search import service
from recorder.features.search.rules import CallQuery, parse_text
from recorder.identity.tenants import create_tenant
from tests.postgres import Server

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 5
PAGE = 50
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SPAN = timedelta(days=730)
NUMBERS_PER_CALL = 0.147
LINES = 20
BATCH = 900
HOLDS = 40
BEFORE_SEARCH = "0004"

REASONS = ("never_connected", "declined", "hung_up_in_announcement", "daemon_away", "full_disk")


@dataclass(frozen=True)
class World:
    """The tenant with many calls, and what there is to search for."""

    tenant: str
    common: str
    rare: str
    old: datetime


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--rows", default=",".join(map(str, SIZES)))
    words.add_argument("--databases", default="sqlite,postgresql")
    words.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    words.add_argument("--json", action="store_true")
    options = words.parse_args()
    found = []
    for kind in options.databases.split(","):
        for rows in map(int, options.rows.split(",")):
            with catalogue_of(kind, options.folder) as url:
                found += measure(kind, url, rows)
    print(json.dumps(found, indent=1) if options.json else table(found))


@contextmanager
def catalogue_of(kind: str, folder: Path) -> Iterator[str]:
    """An empty catalogue in a folder; its URL."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(dir=folder, prefix="bench-search-") as own:
            yield f"sqlite:///{own}/catalogue.db"
        return
    tempfile.tempdir = str(folder)
    server = Server()
    try:
        server.execute("ALTER SYSTEM SET shared_buffers = '256MB'")
        server.restart()
        with server.database(empty=True) as url:
            yield url
    finally:
        server.close()


def measure(kind: str, url: str, rows: int) -> list[dict[str, Any]]:
    """The time of each query, in milliseconds."""
    earlier = Path(tempfile.mkdtemp())
    for file in schema.FOLDER.glob("[0-9]*.py"):
        if file.name < BEFORE_SEARCH:
            shutil.copy(file, earlier)
    schema.migrate(url, folder=earlier)
    shutil.rmtree(earlier)
    opened = open_catalogue(url, connections=4)
    with connected():
        world = fill(rows)
    getattr(opened, "close_all", opened.close)()
    start = time.perf_counter()
    schema.migrate(url)
    migrated = time.perf_counter() - start
    opened = open_catalogue(url, connections=4)
    found = [{"database": kind, "rows": rows, "query": "(migration)", "median": migrated * 1000}]
    with connected():
        database.execute_sql("VACUUM ANALYZE" if kind == "postgresql" else "SELECT 1")
        add_holds(world)
        for name, run, like in cases(world):
            times = [timed(run) for _ in range(ROUNDS)]
            row = {"database": kind, "rows": rows, "query": name, "calls": len(run().calls)}
            row |= {"median": statistics.median(times), "worst": max(times)}
            if like is not None:
                row["like"] = statistics.median(timed(like) for _ in range(3 if rows < 500_000 else 2))
            found.append(row)
            print(json.dumps(row), flush=True)
    getattr(opened, "close_all", opened.close)()
    return found


def timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def cases(world: World) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any] | None]]:
    """Names, queries, and their rivals."""

    def ask(after: Any = None, before: Any = None, **criteria: Any) -> Callable[[], Any]:
        query = CallQuery(world.tenant, **criteria)
        return lambda: service.list_calls(query, after=after, before=before, limit=PAGE)

    def number(name: str, typed: str) -> tuple[str, Callable[[], Any], Callable[[], Any]]:
        text = parse_text(typed)
        assert text is not None
        return (
            f"number: {name}",
            ask(text=text),
            lambda: catalogue.recordings(world.tenant, party=text, limit=PAGE),
        )

    yield "latest calls", ask(), lambda: catalogue.recordings(world.tenant, limit=PAGE)
    page = ask()()
    yield (
        "second page",
        ask(after=page.older),
        lambda: catalogue.recordings(world.tenant, after=page.older, limit=PAGE),
    )
    middle = replace(page.older, started_at=NOW - SPAN / 2)
    yield "page in the middle", ask(after=middle), None
    yield "page back, in the middle", ask(before=middle), None
    last = replace(page.older, started_at=NOW - SPAN + timedelta(hours=6))
    yield "last page", ask(after=last), None
    yield number("common, whole", world.common)
    yield number("common, start", world.common[:7])
    yield number("common, middle", world.common[5:9])
    yield number("common, end", world.common[-4:])
    yield number("rare, whole", world.rare)
    yield number("rare, start", world.rare[:9])
    yield number("rare, middle", world.rare[5:10])
    yield number("rare, end", world.rare[-6:])
    yield number("three digits", world.rare[-5:-2])
    yield number("two digits", world.rare[-3:-1])
    yield number("one digit", "7")
    yield number("own line", "+3225550103")
    yield number("own line, ended a year ago", "+3225550119")
    yield number("not there", "99999999")
    yield number("not there, three digits at the start", "00999")
    yield "address", ask(text="anna42@"), None
    for name, days, length in (("today", 0, 1), ("last 7 days", 6, 7), ("a month a year ago", 365, 30)):
        since = NOW.replace(hour=0) - timedelta(days=days)
        yield f"date: {name}", ask(since=since, until=since + timedelta(days=length)), None
    yield "line", ask(line="line-3"), None
    yield "line, ended a year ago", ask(line="line-19"), None
    yield "inbound", ask(direction="inbound"), None
    yield "outbound", ask(direction="outbound"), None
    yield "shorter than a minute", ask(longest_ms=60_000), None
    yield "longer than an hour", ask(shortest_ms=3_600_000), None
    for consent in ("notice", "declined", "unannounced"):
        yield f"consent: {consent}", ask(consent=consent), None
    for agreement in ("agreed", "refused", "unanswered", "not-asked"):
        yield f"agreement: {agreement}", ask(agreement=agreement), None
    yield "kept for a difference", ask(held=True), None
    yield "not recorded", ask(recorded=False), None
    yield "not recorded: rare reason", ask(reason="full_disk"), None
    year_ago = {"since": NOW - timedelta(days=400), "until": NOW - timedelta(days=370)}
    text = parse_text(world.common)
    yield "common number, a year ago", ask(text=text, **year_ago), None
    yield "common number, refused", ask(text=text, agreement="refused"), None
    yield "two digits, refused, outbound", ask(text="47", agreement="refused", direction="outbound"), None
    yield (
        "line, outbound, longer than an hour",
        (ask(line="line-3", direction="outbound", shortest_ms=3_600_000)),
        None,
    )
    yield "limited to two lines", ask(scope=frozenset({"line-3", "line-7"})), None
    yield (
        "limited to two lines, three digits",
        (ask(scope=frozenset({"line-3", "line-7"}), text=world.rare[-5:-2])),
        None,
    )


def fill(rows: int) -> World:
    """A tenant with so many calls, and a small one beside it."""
    random_ = random.Random(20261125)
    tenant, other = "tenant-many", "tenant-few"
    for each in (tenant, other):
        create_tenant(each, name=each, wrapped_key="{}", now=NOW, entropy=os.urandom)
    count = max(100, int(rows * NUMBERS_PER_CALL))
    numbers = [f"+324{random_.choice('6789')}{random_.randrange(10**7):07}" for _ in range(count)]
    numbers[3::97] = [f"sip:anna{n}@example.be" for n in range(len(numbers[3::97]))]
    recorded: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for n in range(rows):
        call = make_call(random_, n, rows, tenant if n % 500 else other, numbers)
        if n % 10 == 9:
            missing.append(unrecorded_columns(call, random_))
        else:
            recorded.append(recording_columns(call))
        if len(recorded) == BATCH or n == rows - 1:
            with writing():
                for model, batch in ((RecordingTable, recorded), (NotRecordedTable, missing)):
                    if batch:
                        model.insert_many(batch).execute()
                    batch.clear()
    return World(tenant, numbers[0], numbers[count * 2 // 3], NOW - SPAN)


def make_call(random_: random.Random, n: int, rows: int, tenant: str, numbers: list[str]) -> RecordingRow:
    at = NOW - SPAN * ((n + random_.random()) / rows)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    line = random_.randrange(LINES - 1)
    if at < NOW - timedelta(days=365) and random_.random() < 0.4:
        line = LINES - 1  # a line that ended a year ago
    value = numbers[int(len(numbers) * random_.random() ** 3)]
    identity = f"{n:012x}-0000-7000-8000-{random_.getrandbits(48):012x}"
    answer = random_.choices((None, "yes", "no", "none"), (93, 4, 1, 2))[0]
    seconds = random_.expovariate(1 / 180)
    return RecordingRow(
        id=identity,
        tenant=tenant,
        line=f"line-{line}",
        number=f"+32255501{line:02}",
        direction="outbound" if random_.random() < 0.3 else "inbound",
        external_party=Party("sip" if value.startswith("sip:") else "e164", value),
        internal_party=Party("extension", str(100 + random_.randrange(40))),
        started_at=at,
        duration_ms=int(seconds * 1000) * (20 if random_.random() < 0.002 else 1),
        announcement="an-announcement",
        announcement_version=1,
        announced=random_.random() > 0.002,
        purposes=("agreement", "quality"),
        restricted=(),
        keep_answer=answer,
        keep_until=at + timedelta(days=900),
        prefix=f"{tenant}/{at:%Y/%m/%d}/{identity}/",
        manifest_sha256=f"{random_.getrandbits(256):064x}",
        wrapped_key=f'{{"key":"{random_.getrandbits(512):0128x}"}}',
        objects=(ObjectRow("audio.opus", "audio/ogg", 900_000), ObjectRow("peaks", "application/json", 9000)),
        stored_bytes=910_000,
        stored_at=at + timedelta(minutes=10),
        erased_at=None,
        erasure_reason=None,
        consented_until=(("agreement", (at + timedelta(days=900)).date()),) if answer == "yes" else (),
    )


def unrecorded_columns(call: RecordingRow, random_: random.Random) -> dict[str, Any]:
    assert call.external_party is not None
    reason = random_.choices(REASONS, (70, 10, 15, 4.99, 0.01))[0]
    return {
        "id": call.id, "tenant": call.tenant, "line_id": call.line, "number": call.number,
        "direction": call.direction, "node": "node1", "external_kind": call.external_party.kind,
        "external_value": call.external_party.value, "started_at": call.started_at,
        "ended_at": call.started_at + timedelta(seconds=20), "reason": reason, "quarantined_until": None,
        "listed_at": call.stored_at,
    }  # fmt: skip


def add_holds(world: World) -> None:
    """A few recordings on legal hold."""
    query = RecordingTable.select(RecordingTable.id).where(RecordingTable.tenant == world.tenant)
    ids = [row.id for row in query.order_by(RecordingTable.id).limit(HOLDS * 50)][::50]
    for each in ids:
        AmendmentTable.create(
            id=f"{each}/1", tenant=world.tenant, recording=each, number=1, kind="hold_set", at=NOW,
            by_kind="user", by_id=None, sha256="", ended_by=None,
            data={"purposes": [], "owner": "", "reason": "", "review_at": to_iso(NOW), "roles": []},
        )  # fmt: skip


def table(found: list[dict[str, Any]]) -> str:
    """The measurements as a Markdown table: a row for each query, a column for each database and size."""
    sizes = list(dict.fromkeys((each["database"], each["rows"]) for each in found))
    by = {(each["database"], each["rows"], each["query"]): each for each in found}
    names = [name for name in dict.fromkeys(each["query"] for each in found) if not name.startswith("(")]
    heads = [f"{kind} {rows:,}" for kind, rows in sizes]
    lines = [f"| Query | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name in names:
        cells = [cell(by[(*size, name)]) for size in sizes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    migrations = [f"{by[(*size, '(migration)')]['median'] / 1000:.0f} s" for size in sizes]
    lines.append(f"| filling the index (migration) | {' | '.join(migrations)} |")
    return "\n".join(lines)


def cell(one: dict[str, Any]) -> str:
    text = f"{one['median']:.1f} ({one['worst']:.1f})"
    if "like" in one:
        text += f"; LIKE {one['like']:,.0f}, ×{one['like'] / one['median']:.0f}"
    return text


if __name__ == "__main__":
    main()
