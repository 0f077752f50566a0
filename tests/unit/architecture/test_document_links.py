"""Every link in the documentation leads to a page and an anchor, every page that the code names exists, and
no page but a reference is longer than a reader's patience."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.architecture.source_tree import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FOLDERS = ("bench", "demo", "deploy", "freeswitch_conf", "recorder", "tests", "web")
SUFFIXES = {"", ".cfg", ".conf", ".html", ".in", ".md", ".po", ".py", ".service", ".toml", ".txt", ".xml"}
SUFFIXES |= {".yaml", ".yml"}
LONGEST_PAGE = 3000
"""In words: what is read from beginning to end. Reference pages and results are looked up in."""
GENERATED = ("settings", "command-line", "errors", "log-events", "operate/alerts")
LOOK_UP = ("docs/reference/", "docs/results/", "CHANGELOG.md", *(f"docs/{page}." for page in GENERATED))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Its headings as GitHub spells them, and the anchors that it sets itself."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r'<a id="([^"]+)"></a>', text)
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.append(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return frozenset(found)


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_pages_that_the_code_names_exist() -> None:
    wrong = set()
    for folder in FOLDERS:
        for path in ROOT.glob(f"{folder}/**/*"):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            for mention in re.findall(
                r"docs/[\w./-]+\.(?:md|csv)(?:#[\w-]+)?", path.read_text("utf-8", "replace")
            ):
                page, _, anchor = mention.partition("#")
                if not (ROOT / page).exists() or (anchor and anchor not in anchors(ROOT / page)):
                    wrong.add((name(path), mention))
    assert sorted(wrong) == []


@pytest.mark.parametrize("page", [page for page in PAGES if not name(page).startswith(LOOK_UP)], ids=name)
def test_page_is_short(page: Path) -> None:
    assert len(page.read_text("utf-8").split()) <= LONGEST_PAGE


def test_index_lists_every_page() -> None:
    """``docs/README.md`` is where a reader begins."""
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert [name(page) for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in listed] == [
        name(index)
    ]
