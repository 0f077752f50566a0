"""Formats, addresses, commands and names are as they were: each is compared with its file here."""

from __future__ import annotations

import pytest

from tests.golden.surfaces import HERE, SURFACES


@pytest.mark.parametrize("file", SURFACES)
def test_nothing_that_others_rely_on_has_changed(file: str) -> None:
    assert SURFACES[file]() == (HERE / file).read_text("utf-8"), "python -m tests.golden.surfaces writes it"
