"""Searching the call list among 10,000, 100,000 and a million calls, on SQLite and PostgreSQL, beside `LIKE`.

    python -m bench.search [--rows 10000,100000] [--folder FOLDER] [--databases sqlite,postgresql]
        [--processor]

Each query runs as the page runs it: the page's calls with their rows, the positions of its neighbours, and
the count. `LIKE` is what the list did before: the same page of recordings, without unrecorded calls and
without a count, from a scan of the table. Databases lie in FOLDER (default: the system's temporary folder)
and are removed afterwards. One call in ten is not recorded, one recording in fifty has a note; the numbers
follow a power law, 147 of them in a thousand calls; the calls are spread over two years. With `--processor`,
processor time is measured, of this process and PostgreSQL's, for a machine that does other work as well.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from peewee import SqliteDatabase

from recorder.catalogue import queries as catalogue
from recorder.catalogue import schema
from recorder.catalogue.database import connected, database, open_catalogue, writing
from recorder.catalogue.mappers import recording_columns
from recorder.catalogue.records import Cursor, ObjectRow, RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.features.call_list import service
from recorder.features.call_list.rules import CallQuery, parse_name, parse_text
from recorder.identity.tenants import create_tenant
from tests.postgres import Server

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 11
"""Runs of a query: more than the ten after which PostgreSQL may plan a repeated statement for good."""

COMBINATIONS = 60
PAGE = 50
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SPAN = timedelta(days=730)
NUMBERS_PER_CALL = 0.147
LINES = 20
BATCH = 9000
HOLDS = 40
NOTE_INTERVAL = 50
"""Of so many recordings, one has a note; of ten times as many, one a common label."""

MODES = ("notice", "opt-in", "opt-out")
REASONS = ("never_connected", "declined", "hung_up_in_announcement", "daemon_away", "full_disk")


@dataclass(frozen=True)
class World:
    """The tenant with many calls, and what there is to search for."""

    tenant: str
    common: str
    rare: str


@dataclass(frozen=True)
class Case:
    """A query as the page runs it; ``run`` returns how many calls it shows."""

    group: str
    name: str
    run: Callable[[], int]
    like: Callable[[], Any] | None = None


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--rows", default=",".join(map(str, SIZES)))
    words.add_argument("--databases", default="sqlite,postgresql")
    words.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    words.add_argument("--processor", action="store_true")
    options = words.parse_args()
    found = []
    for kind in options.databases.split(","):
        for rows in map(int, options.rows.split(",")):
            with catalogue_of(kind, options.folder) as url:
                found += measure(kind, url, rows, options.processor)
    print(table(found))


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


def measure(kind: str, url: str, rows: int, processor: bool) -> list[dict[str, Any]]:
    """The times of each query, in milliseconds."""
    schema.migrate(url)
    opened = open_catalogue(url, connections=4)
    try:
        with connected():
            return run_cases(kind, rows, fill(rows), processor)
    finally:
        getattr(opened, "close_all", opened.close)()


def run_cases(kind: str, rows: int, world: World, processor: bool) -> list[dict[str, Any]]:
    clock = clock_of(kind, processor)
    return [run_case(kind, rows, case, clock) for case in all_cases(world)]


def run_case(kind: str, rows: int, case: Case, clock: Callable[[], float]) -> dict[str, Any]:
    times = [timed(case.run, clock) for _ in range(ROUNDS)]
    row = {"database": kind, "rows": rows, "group": case.group, "query": case.name}
    row |= {"calls": case.run(), "times": times}
    if case.like is not None:
        row["like"] = [timed(case.like, clock)]
    figures = f"median {statistics.median(times):7.1f}  worst {max(times):7.1f}  calls {row['calls']}"
    print(f"{kind:10} {rows:8} {figures:45} {case.group}: {case.name}", flush=True)
    return row


def clock_of(kind: str, processor: bool) -> Callable[[], float]:
    """A clock that counts milliseconds: those that pass, or the processor time of this process and of the
    server process that serves it."""
    if not processor:
        return lambda: time.perf_counter() * 1000
    if kind == "sqlite":
        return lambda: time.thread_time() * 1000
    database.execute_sql("SET max_parallel_workers_per_gather = 0")
    (pid,) = database.execute_sql("SELECT pg_backend_pid()").fetchone()
    statistics_file = Path(f"/proc/{pid}/schedstat")
    return lambda: time.thread_time() * 1000 + int(statistics_file.read_text().split()[0]) / 1e6


def timed(run: Callable[[], Any], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start


def all_cases(world: World) -> Iterator[Case]:
    yield from page_cases(world)
    yield from text_cases(world)
    yield from filter_cases(world)
    yield from combined_cases(world)


def ask(world: World, after: Cursor | None = None, before: Cursor | None = None, **criteria: Any) -> Any:
    """A search, to run."""
    query = CallQuery(world.tenant, **criteria)
    return lambda: len(service.list_calls(query, after=after, before=before, limit=PAGE).calls)


def page_cases(world: World) -> Iterator[Case]:
    first = service.list_calls(CallQuery(world.tenant), limit=PAGE)
    assert first.older is not None
    old = replace(first.older, started_at=NOW - SPAN / 2)
    last = replace(first.older, started_at=NOW - SPAN + timedelta(hours=6))
    yield Case("page", "latest", ask(world))
    yield Case("page", "second", ask(world, after=first.older))
    yield Case("page", "in the middle", ask(world, after=old))
    yield Case("page", "back, in the middle", ask(world, before=old))
    yield Case("page", "last", ask(world, after=last))
    for name, criteria in (
        ("of all", {}),
        ("refused", {"agreement": "refused"}),
        ("three digits", {"text": "470"}),
    ):
        query = CallQuery(world.tenant, **criteria)
        page = service.list_calls(query, limit=PAGE).calls
        count = partial(service.count_new, query, page[-1].place, len(page))
        yield Case("new calls", name, count)


def text_cases(world: World) -> Iterator[Case]:
    def typed(name: str, text: str, group: str = "number") -> Case:
        part = parse_text(text)
        assert part is not None
        return Case(
            group,
            name,
            ask(world, text=part, name=parse_name(text)),
            lambda: catalogue.recordings(world.tenant, party=part, limit=PAGE),
        )

    yield typed("common, whole", world.common)
    yield typed("common, start", world.common[:7])
    yield typed("common, middle", world.common[5:9])
    yield typed("common, end", world.common[-4:])
    yield typed("rare, whole", world.rare)
    yield typed("rare, start", world.rare[:9])
    yield typed("rare, middle", world.rare[5:10])
    yield typed("rare, end", world.rare[-6:])
    yield typed("three digits", world.rare[-5:-2])
    yield typed("two digits", world.rare[-3:-1])
    yield typed("one digit", "7")
    yield typed("own line", "+3225550103")
    yield typed("own line, ended a year ago", "+3225550119")
    yield typed("not there", "99999999")
    yield typed("not there, three digits at the start", "00999")
    yield typed("address", "anna42@", "name")
    yield typed("many addresses", "example", "name")
    yield typed("colleague", "dubois", "name")
    yield typed("not there", "nobody here", "name")


def filter_cases(world: World) -> Iterator[Case]:
    for name, days, length in (("today", 0, 1), ("last 7 days", 6, 7), ("a month a year ago", 365, 30)):
        since = NOW.replace(hour=0) - timedelta(days=days)
        yield Case("date", name, ask(world, since=since, until=since + timedelta(days=length)))
    one: list[tuple[str, str, dict[str, Any]]] = [
        ("line", "one", {"line": "line-3"}),
        ("line", "ended a year ago", {"line": "line-19"}),
        ("line", "colleague's two lines", {"scope": frozenset({"line-3", "line-7"})}),
        ("direction, length", "inbound", {"direction": "inbound"}),
        ("direction, length", "outbound", {"direction": "outbound"}),
        ("direction, length", "under a minute", {"longest_ms": 60_000}),
        ("direction, length", "over an hour", {"shortest_ms": 3_600_000}),
        ("direction, length", "over ten hours", {"shortest_ms": 36_000_000}),
        ("kept, note, label", "kept for a difference", {"held": True}),
        ("kept, note, label", "note", {"noted": True}),
        ("kept, note, label", "common label", {"label": "complaint"}),
        ("kept, note, label", "rare label", {"label": "once"}),
        ("kept, note, label", "unknown label", {"label": "never"}),
        ("not recorded", "any reason", {"recorded": False}),
        ("not recorded", "common reason", {"reason": "never_connected"}),
        ("not recorded", "rare reason", {"reason": "full_disk"}),
        ("not recorded", "recorded ones", {"recorded": True}),
    ]
    one += [
        ("consent, agreement", each, {"consent": each})
        for each in ("notice", "opt-in", "opt-out", "declined", "unannounced", "imported")
    ]
    one += [
        ("consent, agreement", each, {"agreement": each})
        for each in ("agreed", "refused", "unanswered", "withdrawn", "not-asked")
    ]
    for group, name, criteria in one:
        yield Case(group, name, ask(world, **criteria))
        page = service.list_calls(CallQuery(world.tenant, **criteria), limit=PAGE)
        if page.older is not None:
            yield Case(group, f"{name}, second page", ask(world, after=page.older, **criteria))
            old = Cursor(NOW - SPAN * 0.7, "0")
            yield Case(group, f"{name}, page in the middle", ask(world, after=old, **criteria))
            yield Case(group, f"{name}, page back", ask(world, before=old, **criteria))


def combined_cases(world: World) -> Iterator[Case]:
    """Two to four filters at random, and the page after the first."""
    random_ = random.Random(17)
    for _ in range(COMBINATIONS):
        criteria: dict[str, Any] = {}
        for choose in random_.sample(CHOICES, random_.choice((2, 2, 3, 4))):
            criteria |= choose(random_, world)
        name = ", ".join(f"{key}={value}" for key, value in criteria.items())
        yield Case("two to four filters", name, ask(world, **criteria))
        page = service.list_calls(CallQuery(world.tenant, **criteria), limit=PAGE)
        if page.older is not None:
            yield Case("two to four filters", f"{name}, next page", ask(world, after=page.older, **criteria))


def _choose_text(random_: random.Random, world: World) -> dict[str, Any]:
    number, length = random_.choice((world.common, world.rare)), random_.choice((1, 2, 3, 4, 6, 9))
    begin = random_.randrange(3, len(number) - length + 1)
    return {"text": number[begin : begin + length]}


def _choose_days(random_: random.Random, world: World) -> dict[str, Any]:
    since = NOW - timedelta(days=random_.randrange(730))
    return {"since": since, "until": since + timedelta(days=random_.choice((1, 7, 30, 365)))}


def _choose_length(random_: random.Random, world: World) -> dict[str, Any]:
    return random_.choice(({"longest_ms": 60_000}, {"shortest_ms": 1_200_000}, {"shortest_ms": 3_600_000}))


def _choose_recorded(random_: random.Random, world: World) -> dict[str, Any]:
    return random_.choice(({"recorded": True}, {"recorded": False}, {"reason": random_.choice(REASONS)}))


def _choose_written(random_: random.Random, world: World) -> dict[str, Any]:
    return random_.choice(({"held": True}, {"noted": True}, {"label": "complaint"}, {"label": "once"}))


CHOICES: tuple[Callable[[random.Random, World], dict[str, Any]], ...] = (
    _choose_text,
    _choose_days,
    lambda random_, world: {"line": f"line-{random_.randrange(LINES)}"},
    lambda random_, world: {"scope": frozenset({"line-3", "line-7"})},
    lambda random_, world: {"direction": random_.choice(("inbound", "outbound"))},
    _choose_length,
    lambda random_, world: {"consent": random_.choice(("notice", "opt-in", "declined", "unannounced"))},
    lambda random_, world: {"agreement": random_.choice(("agreed", "refused", "unanswered", "not-asked"))},
    _choose_recorded,
    _choose_written,
)


def fill(rows: int) -> World:
    """A tenant with so many calls, and a small one beside it."""
    random_ = random.Random(20261125)
    tenant, other = "tenant-many", "tenant-few"
    sqlite = isinstance(database.obj, SqliteDatabase)
    if sqlite:
        database.execute_sql("PRAGMA synchronous = OFF")
    for each in (tenant, other):
        create_tenant(each, name=each, wrapped_key="{}", now=NOW, entropy=os.urandom)
    count = max(100, int(rows * NUMBERS_PER_CALL))
    numbers = [f"+324{random_.choice('6789')}{random_.randrange(10**7):07}" for _ in range(count)]
    numbers[3::97] = [f"sip:anna{n}@example.be" for n in range(len(numbers[3::97]))]
    UserTable.create(
        id="user", tenant=tenant, login="anna", name="Anna Dubois", role="customer", language="fr",
        password_hash="", created_at=NOW, lines=["line-3", "line-7"],
    )  # fmt: skip
    add_announcements(tenant)
    load(rows, random_, (tenant, other), numbers)
    add_holds_and_notes(tenant)
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)" if sqlite else "SET statement_timeout = 0")
    if not sqlite:
        database.execute_sql("VACUUM ANALYZE")
    return World(tenant, numbers[0], numbers[count * 2 // 3])


def load(rows: int, random_: random.Random, tenants: tuple[str, str], numbers: list[str]) -> None:
    """Add the calls, oldest first, in bulk."""
    recorded: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for n in reversed(range(rows)):
        call = make_call(random_, n, rows, tenants[n % 500 == 0], numbers)
        if n % 10 == 9:
            missing.append(unrecorded_columns(call, random_))
        else:
            recorded.append(recording_columns(call))
        if len(recorded) == BATCH or n == 0:
            with writing():
                insert(RecordingTable, recorded)
                if missing:
                    insert(NotRecordedTable, missing)
            recorded, missing = [], []


def insert(model: Any, rows: list[dict[str, Any]]) -> None:
    """Add rows by one prepared statement: peewee takes most of the time to write each batch's."""
    fields = [model._meta.combined[name] for name in rows[0]]
    mark = "?" if isinstance(database.obj, SqliteDatabase) else "%s"
    columns, marks = ", ".join(each.column_name for each in fields), ", ".join([mark] * len(fields))
    values = [tuple(f.db_value(v) for f, v in zip(fields, row.values(), strict=True)) for row in rows]
    statement = f"INSERT INTO {model._meta.table_name} ({columns}) VALUES ({marks})"
    database.cursor().executemany(statement, values)


def add_announcements(tenant: str) -> None:
    SoundTable.create(sha256="sound", wav=b"", duration_ms=5000, created_at=NOW)
    for mode in MODES:
        AnnouncementTable.create(
            id=f"announcement-{mode}", tenant=tenant, name=mode, version=1, language="fr", text="",
            purposes=["agreement"], keep_days=900, sound="sound", mode=mode, created_at=NOW,
        )  # fmt: skip


def make_call(random_: random.Random, n: int, rows: int, tenant: str, numbers: list[str]) -> RecordingRow:
    at = NOW - SPAN * ((n + random_.random()) / rows)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    line = random_.randrange(LINES - 1)
    if at < NOW - timedelta(days=365) and random_.random() < 0.4:
        line = LINES - 1  # a line that ended a year ago
    value = numbers[int(len(numbers) * random_.random() ** 3)]
    identity = f"{rows - n:012x}-0000-7000-8000-{random_.getrandbits(48):012x}"
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
        announcement=f"announcement-{random_.choices(MODES, (85, 10, 5))[0]}",
        announcement_version=1,
        announced=random_.random() > 0.002,
        purposes=("agreement", "quality"),
        restricted=(),
        keep_answer=answer,
        agreement={"yes": "agreed", "no": "refused", "none": "unanswered"}.get(answer or ""),
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
        import_sha256=f"{random_.getrandbits(256):064x}" if random_.random() < 0.01 else None,
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


def add_holds_and_notes(tenant: str) -> None:
    """A few recordings on legal hold, and many with a note or a label."""
    query = RecordingTable.select(RecordingTable.id).where(RecordingTable.tenant == tenant)
    ids = [row.id for row in query.order_by(RecordingTable.id.desc())]
    holds = [
        {
            "id": f"{each}/1", "tenant": tenant, "recording": each, "number": 1, "kind": "hold_set",
            "at": NOW, "by_kind": "user", "by_id": None, "sha256": "", "ended_by": None,
            "data": {"purposes": [], "owner": "", "reason": "", "review_at": to_iso(NOW), "roles": []},
        }
        for each in ids[:: len(ids) // HOLDS]
    ]  # fmt: skip
    texts = [("note", "Call back on Monday", each) for each in ids[::NOTE_INTERVAL]]
    texts += [("label", "complaint", each) for each in ids[:: NOTE_INTERVAL * 10]]
    texts += [("label", "once", each) for each in ids[:: len(ids) // 5]]
    notes = [
        {
            "id": f"note-{number}", "tenant": tenant, "recording": each, "user": "user", "kind": kind,
            "text": text, "created_at": NOW,
        }
        for number, (kind, text, each) in enumerate(texts)
    ]  # fmt: skip
    with writing():
        AmendmentTable.insert_many(holds).execute()
        for begin in range(0, len(notes), BATCH):
            insert(NoteTable, notes[begin : begin + BATCH])


def table(found: list[dict[str, Any]]) -> str:
    """The measurements as a Markdown table: a row for each group of queries, a column for each database and
    size."""
    sizes = list(dict.fromkeys((each["database"], each["rows"]) for each in found))
    groups = list(dict.fromkeys(each["group"] for each in found))
    heads = [f"{kind} {rows:,}" for kind, rows in sizes]
    lines = [f"| Queries | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for group in [*groups, None]:
        some = [
            [f for f in found if (f["database"], f["rows"]) == size and group in (f["group"], None)]
            for size in sizes
        ]
        name = "all" if group is None else group
        lines.append(f"| {name} ({len(some[0])}) | {' | '.join(map(cell, some))} |")
        if any("like" in each for each in some[0]) and group is not None:
            lines.append(f"| {name}, the slowest by `LIKE` | {' | '.join(map(like_cell, some))} |")
    return "\n".join(lines)


def cell(some: list[dict[str, Any]]) -> str:
    """The median of all runs, the slowest query's median, and the slowest run."""
    runs = [each for one in some for each in one["times"]]
    slowest = max(statistics.median(one["times"]) for one in some)
    return f"{statistics.median(runs):.1f} · {slowest:.1f} · {max(runs):.1f}"


def like_cell(some: list[dict[str, Any]]) -> str:
    return f"{max(statistics.median(one['like']) for one in some if 'like' in one):,.0f}"


if __name__ == "__main__":
    main()
