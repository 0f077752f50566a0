"""How calls went: what counts, by line and period, on both databases."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.features.call_list.rates import CallRates, count_rates
from tests.unit.catalogue.conftest import OTHER, TENANT

pytestmark = pytest.mark.postgresql


def test_each_call_is_counted_by_what_became_of_it(tenants, clock, stored, unrecorded) -> None:
    at = clock()
    for agreement in (None, "agreed", "refused", "unanswered", "entered", "withdrawn"):
        stored(agreement=agreement)
    stored(announced=False)
    stored(import_sha256="ab" * 32)
    for reason in ("declined", "no_answer", "not_kept", "daemon_away", "never_connected"):
        unrecorded(reason=reason)
    unrecorded(reason="declined", line=None)
    stored(OTHER)
    found = count_rates(TENANT, at, at + timedelta(seconds=1), None)
    assert found == {
        "a-line": CallRates(
            calls=11, announcements=9, refusals=1, questions=5, agreements=1,
            reasons={"declined": 1, "no_answer": 1, "not_kept": 1, "daemon_away": 1},
        ),
        "": CallRates(calls=1, announcements=1, refusals=1, reasons={"declined": 1}),
    }  # fmt: skip
    assert found["a-line"].unrecorded == 4


def test_erased_recordings_still_count_and_others_times_and_lines_do_not(tenants, clock, stored) -> None:
    at = clock()
    stored(agreement="agreed")
    with writing():
        RecordingTable.update(erased_at=at, erasure_reason="expired").execute()
    stored(line="another")
    stored(started_at=at - timedelta(milliseconds=1))
    stored(started_at=at + timedelta(days=7))
    found = count_rates(TENANT, at, at + timedelta(days=7), {"a-line"})
    assert found == {"a-line": CallRates(calls=1, announcements=1, questions=1, agreements=1)}
    assert count_rates(TENANT, at, at + timedelta(days=7), ()) == {}


def test_ten_thousand_calls_are_counted_in_a_moment(tenants, clock, stored, unrecorded) -> None:
    at, first, missing = clock(), stored(), unrecorded(reason="declined")
    with writing():
        for table, identity in ((RecordingTable, first.id), (NotRecordedTable, missing.id)):
            (row,) = table.select().where(table.id == identity).dicts()
            rows = [row | {"id": f"{table._meta.table_name}-{n}"} for n in range(5000)]
            if table is RecordingTable:
                rows = [each | {"prefix": each["id"]} for each in rows]
            for begin in range(0, len(rows), 500):
                table.insert_many(rows[begin : begin + 500]).execute()
    with connected():
        begin = time.perf_counter()
        found = count_rates(TENANT, at, at + timedelta(days=7), {"a-line"})
        seconds = time.perf_counter() - begin
    assert (found["a-line"].calls, found["a-line"].refusals) == (10_002, 5001)
    assert seconds < 1
