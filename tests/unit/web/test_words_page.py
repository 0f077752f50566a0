"""``docs/reference/words.md`` has the sentences as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from web.text.disputes import notice

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
    for row in rows():
        message = catalogue.get(row[0])
        assert message is not None, f"the panel does not say: {row[0]}"
        assert message.string == row[1 + at]


def test_each_sentence_has_its_reason() -> None:
    assert len(rows()) > 30
    for row in rows():
        assert len(row) == 5
        assert len(row[4]) > 15, row[0]


def test_what_an_invitation_says_is_on_the_page() -> None:
    """All sentences of the notice, whose hash is signed with the answer."""
    source = (ROOT / "web" / "text" / "disputes.py").read_text("utf-8")
    text = " ".join(source[source.index(f"def {notice.__name__}") : source.index("STEPS: Final")].split())
    joined = text.replace('" "', "")
    listed = [row[0] for row in rows()]
    assert len([each for each in listed if f'"{each}"' in joined]) >= 7
