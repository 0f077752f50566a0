"""``docs/reference/words.md`` has the sentences as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from web.text.sentences import SENTENCES

ROOT = Path(__file__).parents[3]
LANGUAGES = ("fr", "nl", "de")


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "reference" / "words.md").read_text("utf-8").splitlines()
    cells = [
        [each.strip() for each in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ]
    return [each for each in cells if each[0] != "English"]


@pytest.mark.parametrize("at", range(len(LANGUAGES)), ids=LANGUAGES)
def test_sentences_are_those_of_the_panel(at: int) -> None:
    language = LANGUAGES[at]
    path = ROOT / "web" / "translations" / language / "LC_MESSAGES" / "messages.po"
    with open(path, "rb") as file:
        catalogue = read_po(file, locale=language)
    of_codes = {words["en"]: words[language] for table in SENTENCES.values() for words in table.values()}
    for row in rows():
        message = catalogue.get(row[0])
        text = of_codes.get(row[0]) if message is None else message.string
        assert text is not None, f"the panel does not say: {row[0]}"
        assert text == row[1 + at]


def test_each_sentence_has_its_reason() -> None:
    assert len(rows()) > 30
    for row in rows():
        assert len(row) == 5
        assert len(row[4]) > 15, row[0]


def test_what_an_invitation_says_is_on_the_page() -> None:
    """All sentences of the notice, whose hash is signed with the answer."""
    notice = {words["en"] for words in SENTENCES["notice"].values()}
    assert len(notice & {row[0] for row in rows()}) >= 7
