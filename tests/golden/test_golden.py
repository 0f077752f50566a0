"""Formats, addresses, commands and names are as they were: each is compared with its file here."""

from __future__ import annotations

import re

import pytest

from tests.golden import leaves
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
