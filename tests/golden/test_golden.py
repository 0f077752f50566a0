"""Formats, addresses, commands and names are as they were: each is compared with its file here. The reference
pages are those that the code makes, and lack nothing.

All in one module, because what the code raises and logs takes seconds to find out, and is kept.
"""

from __future__ import annotations

import re

import click
import pytest

from recorder import config
from recorder.auditlog.kinds import KINDS
from tests.golden import json_shapes, leaves
from tests.golden.pages import DOCS, PAGES, event_meanings
from tests.golden.surfaces import HERE, SURFACES, logged_levels, raised_errors
from web.text.log_details import WAS


@pytest.mark.parametrize("file", SURFACES)
def test_nothing_that_others_rely_on_has_changed(file: str) -> None:
    assert SURFACES[file]() == (HERE / file).read_text("utf-8"), "python -m tests.golden.surfaces writes it"


def test_leaves_have_the_fields_that_their_kinds_declare() -> None:
    found = leaves.everything()
    assert found.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        declared = {*kind.fields, *kind.optional}
        for body in found[name]:
            fields = {each if each in declared else each.removesuffix(WAS) for each in body}
            assert {*kind.fields} <= fields <= declared, name


def test_every_command_prints_json_or_says_why_not() -> None:
    commands = dict(json_shapes.leaf_commands())
    without = {words for words, each in commands.items() if not json_shapes.has_option(each, "--json")}
    assert without == {*json_shapes.WITHOUT_JSON}
    run = {words.removesuffix(" --dry-run") for words in json_shapes.documents()}
    assert run == commands.keys() - without, "each was run"


def test_every_option_has_a_help() -> None:
    silent = [
        f"accord {words} {each.opts[0]}"
        for words, command in json_shapes.leaf_commands()
        for each in command.params
        if isinstance(each, click.Option) and not each.help
    ]
    assert silent == []


@pytest.mark.parametrize("file", ["json_shapes.txt", "../../docs/command-line.md"])
def test_command_line_says_tenant(file: str) -> None:
    """Customers are called so by people: here, only a role and a page of the documentation have the word."""
    text = (HERE / file).read_text("utf-8")
    text = re.sub(r"docs/customer-tasks\.md|customer_admin|\|customer(?=\\?\|)|default: customer,", "", text)
    assert re.findall("(?i).*customer.*", text) == []


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


def test_every_setting_has_a_meaning() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    for section, model in config.sections().items():
        for name in model.model_fields:
            (row,) = [each for each in page.splitlines() if f"`{config.variable_of(section, name)}`" in each]
            assert row.rpartition(" | ")[2].strip(" |"), row
