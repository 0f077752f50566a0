"""The pages for developers name files that exist, and the reading list stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|toml|xml|md|yml|json|txt|cfg))`")
PLACES = (ROOT, ROOT / "recorder", ROOT / "recorder" / "catalogue")
MADE_BY_RUN = frozenset({".accord/accord.toml"})


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "docs/reference/internals.md", "docs/develop.md"])
def test_files_named_in_a_page_exist(page: str) -> None:
    paths = {*FILE.findall((ROOT / page).read_text("utf-8"))} - MADE_BY_RUN
    assert paths
    assert [name for name in sorted(paths) if not any((place / name).exists() for place in PLACES)] == []


def test_architecture_is_short_and_a_call_is_followed_through_forty_files_at_most() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    assert len(text.splitlines()) < 200
    listed = FILE.findall(text.partition("## Following one call")[2])
    assert len(listed) == len({*listed}) <= 40
    assert all((ROOT / name).is_file() for name in listed)
