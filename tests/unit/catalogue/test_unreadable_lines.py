"""A line whose rows contain what Accord never writes concerns no other line."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from recorder import metrics
from recorder.catalogue.database import database, writing
from recorder.catalogue.records import LineRow
from recorder.lifecycle.line_rules import find_misfits

pytestmark = pytest.mark.postgresql

EVENT = "line.unreadable"

DAMAGE = {
    "no date": "UPDATE line SET since = 'garbage' WHERE id = '{line}'",
    "no JSON": "UPDATE line SET formats = '[' WHERE id = '{line}'",
    "fields of nothing": "UPDATE line SET keep = '{{\"x\": 1}}' WHERE id = '{line}'",
    "no such timing": "UPDATE line SET timing = 'whenever' WHERE id = '{line}'",
    "an announcement without purposes": "UPDATE announcement SET purposes = '7' WHERE id = '{announcement}'",
}
"""The last ones are read without any error, and could not be read from a snapshot."""


def damage(line: LineRow, sql: str) -> None:
    with writing():
        database.execute_sql(sql.format(line=line.id, announcement=line.announcement))


@pytest.mark.parametrize("sql", DAMAGE.values(), ids=DAMAGE)
def test_unreadable_line_is_not_recorded_and_all_others_are(tenants, line, read, faults, sql: str) -> None:
    mine, theirs = line("100", 700), line("300", 700, tenants[1])
    others = [line(f"20{digit}", 900) for digit in range(5)]
    damage(mine, sql)
    with capture_logs() as logs:
        found = read()
        read()
    assert sorted(found.lines) == [*(each.number for each in others), theirs.number]
    assert not find_misfits(), "the doctor looks at the others"
    if "announcement" in sql:  # the log has another one
        assert [each["line"] for each in logs if each["event"] == "line.not_in_log"] == [mine.id]
        return
    (report,) = [each for each in logs if each["event"] == EVENT]
    assert (report["line"], report["number"], report["tenant"]) == (mine.id, "100", tenants[0])
    assert [each.subject for each in faults.list_faults(metrics.OBJECT_FAULTS)] == [mine.id]


def test_unreadable_line_keeps_its_last_version_until_it_is_restored(tenants, line, read, faults) -> None:
    mine = line("100", 700)
    former = read().line("100")
    damage(mine, DAMAGE["no date"])
    other = line("200", 900, tenants[1])
    for _ in range(2):
        found = read()
        assert (found.line("100"), found.line("200").line) == (former, other.id)
    damage(mine, f"UPDATE line SET since = '{mine.since:%Y-%m-%dT%H:%M:%S.000Z}' WHERE id = '{{line}}'")
    assert read().line("100") == former
    assert not faults.lasts(EVENT)
