"""The reference pages are those that the code makes, and lack nothing."""

from __future__ import annotations

import ast

import pytest

from recorder import config
from recorder.errors import AccordError
from tests.golden import errors
from tests.golden.pages import DOCS, PAGES, event_meanings
from tests.golden.surfaces import logged_levels, raised_errors


@pytest.mark.parametrize("page", PAGES)
def test_page_is_current(page: str) -> None:
    assert PAGES[page]() == (DOCS / page).read_text("utf-8"), "python -m tests.golden.pages writes it"


def test_every_error_has_a_hint() -> None:
    assert [each.id for each in raised_errors().values() if not each.hints or "" in each.hints] == []


def test_every_log_event_has_a_meaning() -> None:
    meanings = event_meanings()
    assert [event for event in logged_levels() if not meanings[event][0]] == []


def test_every_warning_that_needs_somebody_says_what_to_do() -> None:
    """At level ``error`` nothing heals by itself."""
    meanings = event_meanings()
    errors_alone = [event for event, levels in logged_levels().items() if levels == ["error"]]
    assert [event for event in errors_alone if not meanings[event][1]] == []


def test_errors_are_found_behind_names_and_helpers() -> None:
    source = ast.parse(
        "HINT = 'ask'\n"
        "class AccordError(Exception): ...\n"
        "class DiskError(AccordError): ...\n"
        "def why():\n"
        "    return 'disk.old' if old() else 'disk.new'\n"
        "def check(text, error_id):\n"
        "    raise DiskError(error_id, f'{text} of {len(text)} is wrong', HINT)\n"
        "check('x', 'disk.name')\n"
        "reason = why()\n"
        "raise DiskError(reason, 'no', 'wait')\n"
    )
    found = errors.raised({"disk": source})
    assert {id: [*each.messages] for id, each in found.items()} == {
        "disk.name": ["{text} of … is wrong"],
        "disk.new": ["no"],
        "disk.old": ["no"],
    }
    assert [*found["disk.name"].hints] == ["ask"]
    assert AccordError.__name__ == errors.ROOT_CLASS


def test_every_setting_has_a_meaning() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    for section, model in config.sections().items():
        for name in model.model_fields:
            (row,) = [each for each in page.splitlines() if f"`{config.variable_of(section, name)}`" in each]
            assert row.rpartition(" | ")[2].strip(" |"), row
