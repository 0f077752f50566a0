"""How commands print values: tables, records, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from recorder.cli import output
from recorder.cli.output import format_table, format_value, json_option

AT = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


def run(print_it: Callable[[], None], *words: str) -> Result:
    @click.command()
    @json_option
    def command() -> None:
        print_it()

    return CliRunner().invoke(command, [*words])


def test_table_has_a_header_and_aligned_columns() -> None:
    rows = [{"name": "Dubois", "calls": 7, "at": AT}, {"name": "Van Dyck NV", "calls": 1200, "at": None}]
    assert format_table(rows, ("name", "calls", "at")) == [
        "NAME         CALLS  AT",
        "Dubois           7  2026-11-29T12:30:00.000Z",
        "Van Dyck NV   1200  -",
    ]
    assert format_table([], ("keep_days",)) == ["KEEP DAYS"]
    assert format_table([{"purpose": None}], ("purpose",)) == ["PURPOSE", "-"], "aligned as a text"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ([], "-"),
        (True, "yes"),
        (0, "0"),
        (["opus", "wav"], "opus, wav"),
        (date(2026, 11, 29), "2026-11-29"),
        (Path("/keys/kek"), "/keys/kek"),
        ("\x1b[2JDubois", "?[2JDubois"),
    ],
)
def test_values_as_people_read_them(value: object, text: str) -> None:
    assert format_value(value) == text


def test_record_prints_its_fields_with_inner_records_and_tables() -> None:
    record = {
        "id": "l1",
        "keep_question": {"days": 90, "at_start": False},
        "holds": [{"number": 1, "reason": "Contested"}],
        "lines": [],
    }
    assert run(lambda: output.print_record(record)).stdout.splitlines() == [
        "ID: l1",
        "Keep question:",
        "  Days: 90",
        "  At start: no",
        "Holds:",
        "  NUMBER  REASON",
        "       1  Contested",
        "Lines: -",
    ]


def test_json_has_every_field_in_the_form_of_the_documentation() -> None:
    rows = [{"id": "r1", "started_at": AT, "checked_on": AT.date(), "file": Path("/a"), "purposes": ("x",)}]
    printed = run(lambda: output.print_list("rows", rows, ("id",)), "--json").stdout
    assert json.loads(printed) == {
        "rows": [
            {
                "id": "r1",
                "started_at": "2026-11-29T12:30:00.000Z",
                "checked_on": "2026-11-29",
                "file": "/a",
                "purposes": ["x"],
            }
        ]
    }


def test_result_is_a_sentence_or_a_record() -> None:
    def print_it() -> None:
        output.print_result({"id": "t1"}, "Token t1 is revoked.")

    assert run(print_it).stdout == "Token t1 is revoked.\n"
    assert json.loads(run(print_it, "--json").stdout) == {"id": "t1"}
