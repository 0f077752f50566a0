"""The usage page, and ``accord usage``: the same sums for the customer and for the provider."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from recorder.catalogue import queries
from recorder.cli import accord
from recorder.features.usage import service
from recorder.features.usage.rules import DayUsage, LineUsage
from tests.unit.web.page_text import english, text_of
from web.usage.chart import HEIGHT, summarise


@pytest.fixture
def counted(house, bakery, rival) -> str:
    """A day of two customers, which is over and counted."""
    for _each in range(2):
        house.call(bakery)
        house.clock.forward(minutes=5)
    house.call(rival)
    house.clock.forward(days=1)
    for customer in (bakery, rival):
        tenant = queries.tenant(customer.id)
        assert tenant is not None
        assert service.count_due(tenant, house.clock(), house.entropy) == 1
    return bakery.id


def test_page_has_the_sums_by_day_and_number(browser, counted) -> None:
    answer = english(browser("paul")).get("/usage")
    text = text_of(answer.text)
    assert "Calls 2 Recorded time" in text
    assert "+32 2 555 01 00 Magasin 2" in text
    assert "25 November 2026 2" in text
    assert answer.text.count("<rect") == 1
    assert "+32 2 555 01 99" not in text


@pytest.mark.parametrize(
    "period",
    ["from=yesterday", "from=2026-11-25&to=2026-11-24", "from=2020-01-01&to=2026-01-01", "to=0001-01-01",
     "from=9999-12-31", "to=x&from=2026-11-01"],
)  # fmt: skip
def test_wrong_period_is_named_and_the_last_month_shown(browser, counted, period) -> None:
    answer = english(browser("paul")).get(f"/usage?{period}")
    assert answer.status_code == 200
    assert "Choose a first and a last day" in answer.text
    assert "25 November 2026" in answer.text


def test_empty_period_says_so(browser, counted) -> None:
    text = text_of(english(browser("paul")).get("/usage?from=2026-01-01&to=2026-01-31").text)
    assert "Nothing was recorded in this period" in text


def test_csv_has_each_part(browser, counted) -> None:
    answer = english(browser("paul")).get("/usage.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage-2026-10-27-2026-11-25.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig")))
    assert (row["Day"], row["Part"], row["Calls"], row["Number"]) == ("2026-11-25", "1", "2", "'+3225550100")
    (line,) = service.usage_of(counted)[0].lines
    assert (int(row["Bytes"]), float(row["Minutes"])) == (line.bytes, round(line.duration_ms / 60_000, 3))


@pytest.fixture
def run(house):
    """``accord usage`` on this installation; its output."""

    def usage(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(accord, ["usage", *words], env=house.environment())
        assert result.exit_code == code, result.output
        house.open_catalogue()
        return result.output

    return usage


def test_provider_sees_every_customer(run, counted, rival) -> None:
    rows = {row["tenant"]: row for row in json.loads(run("--json"))["usage"]}
    assert {tenant: (row["name"], row["calls"]) for tenant, row in rows.items()} == {
        counted: ("Boulangerie Martin", 2),
        rival.id: ("Van Dyck NV", 1),
    }
    assert json.loads(run("--tenant", "Van Dyck NV", "--json"))["usage"] == [rows[rival.id]]
    (earlier,) = json.loads(run("--tenant", rival.id, "--to", "2026-11-24", "--json"))["usage"]
    assert (earlier["calls"], earlier["bytes"]) == (0, 0)
    header, *lines = run().splitlines()
    assert header.split() == ["TENANT", "NAME", "CALLS", "MINUTES", "BYTES"]
    assert len(lines) == 2
    run("--json", "--csv", code=2)
    rows = list(csv.DictReader(io.StringIO(run("--csv", "--from", "2026-11-25", "--to", "2026-11-25"))))
    assert {(row["tenant"], row["calls"]) for row in rows} == {(counted, "2"), (rival.id, "1")}
    assert "before --from" in run("--from", "2026-11-25", "--to", "2026-11-24", code=2)
    assert "no tenant" in run("--tenant", "nobody", code=1)


def test_chart_adds_parts_and_scales_to_the_longest_day() -> None:
    first = date(2026, 11, 1)
    rows = [
        DayUsage("t", first, 1, "UTC", (LineUsage("a", "+1", 1, 1000, 5), LineUsage("b", "+2", 1, 3000, 1))),
        DayUsage("t", first, 2, "UTC", (LineUsage("a", "+1", 2, 4000, 5),)),
        DayUsage("t", first + timedelta(days=2), 1, "UTC", (LineUsage("a", "+1", 1, 4000, 5),)),
    ]
    summary = summarise(rows, first, first + timedelta(days=3))
    assert [(each.calls, each.duration_ms, each.corrected) for each in summary.days] == [
        (4, 8000, True), (0, 0, False), (1, 4000, False), (0, 0, False),
    ]  # fmt: skip
    assert [bar.height for bar in summary.bars()] == [HEIGHT, 0, HEIGHT / 2, 0]
    assert [(line.number, line.calls, line.duration_ms) for line in summary.lines] == [
        ("+1", 4, 9000), ("+2", 1, 3000),
    ]  # fmt: skip
    assert (summary.calls, summary.duration_ms, summary.bytes) == (5, 12_000, 16)
