"""Every sentence in every language, and none that takes sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages import extract, mofile, pofile

import web
from recorder.access import door
from recorder.take.encoded import GAP_REASONS
from recorder.take.spool import REASONS, Party
from web import WebConfig, create_app, words

ROOT = Path(web.__file__).parent
FRENCH = ROOT / "translations" / "fr" / "LC_MESSAGES"
KEYWORDS = {**extract.DEFAULT_KEYWORDS, "_l": None}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]


@pytest.fixture(scope="module")
def sentences() -> set[str | tuple[str, ...]]:
    """Every sentence in the panel's code and pages."""
    return {found[2] for found in extract.extract_from_dir(str(ROOT), METHODS, {}, KEYWORDS)}


@pytest.fixture(scope="module")
def french():
    with open(FRENCH / "messages.po", "rb") as file:
        return pofile.read_po(file, locale="fr")


def test_french_has_every_sentence_and_no_other(sentences, french):
    translated = {message.id for message in french if message.id}
    assert translated == sentences
    for message in french:
        if message.id:
            texts = _tuple(message.string)
            assert all(texts), message.id
            assert not message.fuzzy, message.id


def test_a_translation_has_the_same_names_in_it(french):
    for message in french:
        if message.id:
            ids = _tuple(message.id)
            texts = _tuple(message.string)
            names = set(re.findall(r"%\(\w+\)[sd]|\{\w+\}", ids[-1]))
            for text in texts:
                assert set(re.findall(r"%\(\w+\)[sd]|\{\w+\}", text)) == names, message.id


def test_what_is_compiled_is_what_was_written(french):
    """There is no build step: the compiled file is in the tree, made by
    ``pybabel compile -d web/translations``."""
    with open(FRENCH / "messages.mo", "rb") as file:
        compiled = mofile.read_mo(file)

    def texts(catalog) -> dict:
        return {_tuple(each.id): _tuple(each.string) for each in catalog if each.id}

    assert texts(compiled) == texts(french)


def _tuple(text) -> tuple[str, ...]:
    """The forms of a sentence; the reader of compiled files gives them as lists."""
    return (text,) if isinstance(text, str) else tuple(text)


def test_nothing_takes_sides(sentences, french):
    texts = [text for one in sentences for text in (one if isinstance(one, tuple) else (one,))]
    texts += [str(message.string) for message in french]
    taking = re.compile(
        r"\b(proof|prove|evidence|against|guilt|accus\w*|preuves?|prouver|contre)\b", re.IGNORECASE
    )
    assert [text for text in texts if taking.search(text)] == []


def test_every_reason_and_gap_that_can_come_has_its_sentence():
    assert set(words.NOT_RECORDED) == REASONS
    assert set(words.GAPS) == GAP_REASONS


def test_every_refusal_of_the_gate_has_its_sentence():
    told = set()
    for source in Path(door.__file__).parent.glob("*.py"):
        told |= set(re.findall(r'"(access\.[a-z_]+)"', source.read_text("utf-8")))
    told -= {"access.refused"}  # the kind of a leaf, no error
    assert told - {"access.no_sound"} <= set(words.ERRORS)


@pytest.fixture
def in_english(app):
    with app.test_request_context(headers={"Accept-Language": "en"}):
        yield


@pytest.mark.usefixtures("in_english")
@pytest.mark.parametrize(
    ("party", "text"),
    [
        (Party("e164", "+32470123456"), "+32 470 12 34 56"),
        (Party("e164", "+3221"), "+3221"),
        (Party("sip", "alice@example.org"), "alice@example.org"),
        (Party("extension", "1001"), "Extension 1001"),
        (Party("withheld", ""), "Withheld number"),
        (None, "Unknown"),
    ],
)
def test_a_party_as_people_write_it(party, text):
    assert words.party(party).replace("\u00a0", " ") == text


@pytest.mark.usefixtures("in_english")
def test_lengths_and_places():
    lengths = (0, 999, 1000, 61_000, 3_600_000, 3_725_000)
    assert [words.length(ms) for ms in lengths] == [
        "less than a second",
        "less than a second",
        "1 second",
        "1 minute 1 second",
        "1 hour",
        "1 hour 2 minutes",
    ]
    assert [words.clock(ms) for ms in (0, 65_400, 3_725_000)] == ["0:00", "1:05", "1:02:05"]


@pytest.mark.parametrize("asked", ["nl", "xx"])
def test_a_language_that_is_not_there_is_refused_at_the_start(house, asked):
    with pytest.raises(ValueError, match="not translated"):
        create_app(WebConfig(b"k" * 32, languages=("en", asked)), gate=house.gate)


def test_the_language_is_what_was_chosen_else_the_persons_else_the_browsers(browser, bakery):
    stranger = browser()
    assert "<h1>Log in</h1>" in stranger.get("/login").text
    assert "<h1>Connexion</h1>" in stranger.get("/login", headers={"Accept-Language": "fr-BE"}).text
    person = browser("claire")
    assert '<html lang="fr">' in person.get("/recordings", headers={"Accept-Language": "en"}).text
    answer = person.send("/language", language="en", next="/recordings?show=recorded")
    assert answer.location == "/recordings?show=recorded"
    assert '<html lang="en">' in person.get("/recordings").text
    person.send("/language", language="xx")
    assert '<html lang="en">' in person.get("/recordings").text
