"""Formats, addresses, commands and names are as they were: each is compared with its file here."""

from __future__ import annotations

import re

import click
import pytest

from tests.golden import json_shapes, leaves
from tests.golden.surfaces import HERE, ROOT, SURFACES


@pytest.mark.parametrize("file", SURFACES)
def test_nothing_that_others_rely_on_has_changed(file: str) -> None:
    assert SURFACES[file]() == (HERE / file).read_text("utf-8"), "python -m tests.golden.surfaces writes it"


def test_every_kind_of_leaf_that_the_documentation_has_is_in_its_file() -> None:
    page = (ROOT / "docs" / "reference" / "formats.md").read_text("utf-8")
    _, _, table = page.partition("| `kind` | Body |\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    kinds = {kind for row in rows for kind in re.findall(r"`([a-z_.]+)`", row.split("|")[1])}
    assert kinds == {*leaves.everything()}


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
