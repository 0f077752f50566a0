"""Usage is what the catalogue has, in any order of calls, late stores, erasures, crashes and time zones."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.catalogue import queries as catalogue_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import RecordingRow, TenantRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.registry import TABLES
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.usage import UsageTable
from recorder.fault_log import FaultLog
from recorder.features.recovery import dump
from recorder.features.usage import duty, queries, service
from recorder.features.usage.rules import WAITS
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.lifecycle import recordings
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.tombstones import bury_row

FIRST_CALL = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ZONES = ("Europe/Brussels", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")
LINES = (("line-a", "+3225550100"), ("line-b", "+3225550177"))


@dataclass
class Office:
    """One customer's catalogue, with recordings of a given start, length and size."""

    clock: Clock
    entropy: RepeatableEntropy
    tenant: str = ""
    row_count: int = 0
    stored: list[str] = field(default_factory=list)

    def open(self) -> Office:
        self.tenant = str(uuid7(self.clock(), self.entropy))
        tenants.create_tenant(
            self.tenant, name=f"Martin {self.tenant}", wrapped_key="{}", **self.time_and_entropy()
        )
        return self

    def time_and_entropy(self) -> dict[str, Any]:
        return {"now": self.clock(), "entropy": self.entropy}

    def row(self) -> TenantRow:
        found = catalogue_queries.tenant(self.tenant)
        assert found is not None
        return found

    def store(self, ago: timedelta, line: int = 0, ms: int = 60_000, size: int = 1000) -> str:
        """Store a recording of a call that began some time ago."""
        identity = str(uuid7(self.clock(), self.entropy))
        row = RecordingRow(
            **{
                **TEMPLATE, "id": identity, "tenant": self.tenant, "line": LINES[line][0],
                "number": LINES[line][1], "started_at": self.clock() - ago, "duration_ms": ms,
                "prefix": f"x/{identity}/", "stored_bytes": size, "stored_at": self.clock(),
            }
        )  # fmt: skip
        assert recordings.add_recording(row, **self.time_and_entropy())
        self.stored.append(identity)
        return identity

    def erase(self, identity: str) -> None:
        row = catalogue_queries.recording(self.tenant, identity)
        assert row is not None
        bury_row(row, "deleted", **self.time_and_entropy())

    def count(self) -> int:
        return service.count_due(self.row(), self.clock(), self.entropy)

    def move(self, zone: str) -> None:
        with connected():
            TenantTable.update(time_zone=zone).where(TenantTable.id == self.tenant).execute()

    def usage(self) -> tuple[int, int, int]:
        rows = service.usage_of(self.tenant)
        sums = sum(each.calls for each in rows), sum(each.duration_ms for each in rows)
        return *sums, sum(each.bytes for each in rows)

    def catalogue(self, until: datetime) -> tuple[int, int, int]:
        """The same of the recordings that started before a moment."""
        with connected():
            rows = list(
                RecordingTable.select(RecordingTable.duration_ms, RecordingTable.stored_bytes).where(
                    (RecordingTable.tenant == self.tenant) & (RecordingTable.started_at < until)
                )
            )
        return len(rows), sum(each.duration_ms for each in rows), sum(each.stored_bytes for each in rows)


TEMPLATE: dict[str, Any] = {
    "direction": "inbound", "external_party": None, "internal_party": None, "announcement": "a",
    "announcement_version": 1, "announced": True, "purposes": ("agreement",), "restricted": (),
    "keep_answer": None, "keep_until": FIRST_CALL + timedelta(days=400), "manifest_sha256": "00" * 32,
    "wrapped_key": None, "objects": (), "erased_at": None, "erasure_reason": None, "import_sha256": None,
}  # fmt: skip


@pytest.fixture
def office(catalogue) -> Office:
    return Office(Clock(FIRST_CALL), RepeatableEntropy("usage")).open()


def days(office: Office) -> list[tuple[str, int, int]]:
    return [(each.day.isoformat(), each.part, each.calls) for each in service.usage_of(office.tenant)]


def test_day_is_counted_once_it_is_over(office) -> None:
    office.store(timedelta(hours=1))
    office.store(timedelta(hours=2), line=1, ms=30_000, size=500)
    assert office.count() == 0
    office.clock.at = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)  # midnight has passed in Brussels
    assert office.count() == 0, "calls that go on at midnight are still to be stored"
    office.clock.forward(minutes=31)
    assert office.count() == 1
    (row,) = service.usage_of(office.tenant)
    assert (row.day, row.part, row.time_zone) == (date(2026, 11, 25), 1, "Europe/Brussels")
    assert [(each.line, each.number, each.calls, each.duration_ms, each.bytes) for each in row.lines] == [
        ("line-a", "+3225550100", 1, 60_000, 1000), ("line-b", "+3225550177", 1, 30_000, 500),
    ]  # fmt: skip
    assert office.count() == 0


def test_late_recording_is_a_further_part_and_changes_no_row(office) -> None:
    office.store(timedelta(hours=1))
    office.clock.forward(days=1)
    assert office.count() == 1
    with connected():
        before = list(UsageTable.select().dicts())
    office.store(timedelta(days=1), size=7)  # five days of a broken network, say
    office.store(timedelta(days=40), size=9)
    assert office.count() == 2
    assert days(office) == [("2026-10-17", 1, 1), ("2026-11-25", 1, 1), ("2026-11-25", 2, 1)]
    with connected():
        assert [row for row in UsageTable.select().dicts() if row in before] == before
    assert office.count() == 0


def test_usage_outlives_erasure(office) -> None:
    first, second = office.store(timedelta(hours=1)), office.store(timedelta(hours=2))
    office.erase(first)  # before it is counted
    office.clock.forward(days=1)
    office.count()
    office.erase(second)  # and after
    assert office.count() == 0
    assert office.usage() == (2, 120_000, 2000)


def test_rows_name_nobody(office) -> None:
    office.store(timedelta(hours=1))
    office.clock.forward(days=1)
    office.count()
    with connected():
        (row,) = UsageTable.select().dicts()
        leaf = LeafTable.get(LeafTable.kind == service.COUNTED)
    assert {*row} == {
        "id", "tenant", "day", "part", "time_zone", "lines", "calls", "duration_ms", "bytes", "until",
        "through", "counted_at",
    }  # fmt: skip
    assert row["lines"] == [["line-a", "+3225550100", 1, 60_000, 1000]]
    assert leaf.recording_id is None


def test_other_tenants_are_counted_apart(office) -> None:
    other = Office(office.clock, office.entropy).open()
    office.store(timedelta(hours=1))
    other.store(timedelta(hours=1), size=5)
    office.clock.forward(days=1)
    assert (office.count(), other.count()) == (1, 1)
    assert (office.usage(), other.usage()) == ((1, 60_000, 1000), (1, 60_000, 5))
    assert {each.tenant for each in service.everyones_usage()} == {office.tenant, other.tenant}


def test_one_worker_counts_and_only_customers_with_something_new(office, monkeypatch) -> None:
    looks: list[str] = []

    def count(tenant: TenantRow, *values: Any) -> int:
        looks.append(tenant.id)
        return service.count_due(tenant, *values)

    monkeypatch.setattr(duty, "count_due", count)
    one, other = duty.UsageCounter(), duty.UsageCounter()

    def work(counter: duty.UsageCounter, owner: str) -> tuple[int, int]:
        looks.clear()
        return counter.count(office.clock(), office.entropy, owner, FaultLog()), len(looks)

    office.store(timedelta(hours=1))
    assert work(one, "one") == (0, 1)
    assert work(other, "other") == (0, 0)
    office.clock.forward(minutes=10)
    assert work(one, "one") == (0, 0), "nothing has happened since"
    assert work(other, "other") == (0, 0), "the first one still counts"
    office.store(timedelta(hours=1))
    office.clock.forward(minutes=10)
    assert work(one, "one") == (0, 1)
    office.clock.forward(days=1)
    assert work(one, "one") == (1, 1), "the day is over"
    office.clock.forward(minutes=19)
    assert work(other, "other") == (0, 0)
    office.clock.forward(minutes=1)
    assert work(other, "other") == (0, 1), "the first one has ended"


def test_history_and_imports_are_counted_in_steps(office, monkeypatch) -> None:
    monkeypatch.setattr(queries, "MOST_LATE", 2)
    for ago in (400, 300, 200, 2):
        office.store(timedelta(days=ago))
    assert office.count() == 4
    for ago in (401, 400, 300, 200, 200):
        office.store(timedelta(days=ago))
    assert office.count() == 5
    assert office.count() == 0
    assert office.usage() == office.catalogue(office.clock())


def test_recording_that_a_rebuild_found_again_is_not_counted_twice(office) -> None:
    """Its second leaf is no second recording; one whose first leaf was lost with the catalogue is counted."""
    known = office.store(timedelta(hours=1))
    office.clock.forward(days=1)
    office.count()
    lost_call = office.store(timedelta(hours=30))
    with writing():
        LeafTable.update(kind="recording.rebuilt").where(LeafTable.recording_id == lost_call).execute()
        again = LeafTable.get(LeafTable.recording_id == known).__data__ | {
            "id": "again", "kind": "recording.rebuilt", "number": 100,
        }  # fmt: skip
        LeafTable.insert(**again).execute()
    assert office.count() == 1
    assert office.usage()[0] == 2


def test_a_crash_leaves_nothing_and_the_next_count_does_it(office, monkeypatch) -> None:
    for ago in (26, 50, 74):
        office.store(timedelta(hours=ago))
    append = service.append
    calls = []

    def fails(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("the power went")
        return append(*arguments, **options)

    monkeypatch.setattr(service, "append", fails)
    with pytest.raises(OSError, match="power"):
        office.count()
    assert service.usage_of(office.tenant) == []
    assert office.count() == 3
    assert office.usage() == office.catalogue(office.clock())


EXAMPLES = itertools.count()

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.integers(0, 90 * 24), st.integers(0, 1), st.integers(1, 9)),
        st.tuples(st.just("erase"), st.integers(0, 20)),
        st.tuples(st.just("count")),
        st.tuples(st.just("crash"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.integers(1, 60)),
        st.tuples(st.just("zone"), st.sampled_from(ZONES)),
    ),
    min_size=5,
    max_size=30,
)


@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(steps=STEPS)
def test_totals_are_those_of_the_catalogue(catalogue, steps) -> None:
    office = Office(Clock(FIRST_CALL), RepeatableEntropy(f"usage {next(EXAMPLES)}")).open()
    columns: dict[str, Any] = {}
    for name, *values in steps:
        ACTIONS[name](office, *values)
        columns = _unchanged(office, columns)
    office.clock.forward(days=3)
    office.count()
    assert office.count() == 0
    until = max(
        datetime.combine((office.clock() - WAITS).astimezone(zone).date(), datetime.min.time(), zone)
        for zone in [ZoneInfo(office.row().time_zone)]
    )
    # A change of time zone may have counted up to a later midnight than the last one here.
    counted, _ = queries.last_count(office.tenant)
    assert office.usage() == office.catalogue(max(until, counted or until))
    _unchanged(office, columns)


def _store(office: Office, hours: int, line: int, size: int) -> None:
    office.store(timedelta(hours=hours), line, size * 1000, size)


def _erase(office: Office, which: int) -> None:
    if office.stored:
        office.erase(office.stored[which % len(office.stored)])


def _crash(office: Office, at: int) -> None:
    """A count that ends in the middle of its transaction."""
    append, left = service.append, [at]

    def fails(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise OSError("the power went")
        return append(*arguments, **options)

    service.append = fails  # type: ignore[assignment]
    try:
        office.count()
    except OSError:
        pass
    finally:
        service.append = append


ACTIONS: dict[str, Callable[..., object]] = {
    "store": _store,
    "erase": _erase,
    "count": Office.count,
    "crash": _crash,
    "wait": lambda office, hours: office.clock.forward(hours=hours),
    "zone": Office.move,
}


def _unchanged(office: Office, before: dict[str, Any]) -> dict[str, Any]:
    """The rows, which are those of before and perhaps more; each day's parts count from 1."""
    with connected():
        found = {
            row["id"]: row for row in UsageTable.select().where(UsageTable.tenant == office.tenant).dicts()
        }
    assert {name: found[name] for name in before} == before
    parts: dict[str, list[int]] = defaultdict(list)
    for row in found.values():
        parts[row["day"]].append(row["part"])
    assert all(sorted(each) == list(range(1, len(each) + 1)) for each in parts.values())
    return found


def test_the_table_is_backed_up() -> None:
    assert UsageTable in TABLES
    assert UsageTable in dump.TABLES
