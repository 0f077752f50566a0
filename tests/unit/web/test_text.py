"""Every sentence in every language, in neutral wording."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages import Catalog, extract, mofile, pofile
from flask_babel import format_decimal

import web
from recorder.audio.encoded_take import GAP_REASONS
from recorder.auditlog.kinds import FIELDS, GROUPS, KINDS
from recorder.catalogue import subject_request_queries
from recorder.domain import roles
from recorder.domain.call_plan import MODES
from recorder.domain.line_policy import OFF, OUTBOUND_TIMINGS
from recorder.domain.markers import MARKER_KINDS
from recorder.domain.parties import Party
from recorder.lifecycle import plans
from recorder.mail.message import FOLDER as MESSAGES
from recorder.playback import interface
from recorder.prompts import purposes
from recorder.seal import amendment_kinds
from recorder.spool.layout import REASONS
from recorder.switch import conference_events
from web import WebConfig, create_app
from web.language import NAMES, zone_name
from web.playback.view_model import SUPERVISOR_KINDS
from web.state import PanelState
from web.text import errors, formats
from web.text.sentences import COUNTS, OTHERWISE, SENTENCES, variant

ROOT = Path(web.__file__).parent
TRANSLATIONS = ROOT / "translations"
LANGUAGES = sorted(folder.name for folder in TRANSLATIONS.iterdir() if folder.is_dir())
KEYWORDS = {**extract.DEFAULT_KEYWORDS, "_l": None}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
TAKING_SIDES = {
    "en": r"proof|prov(e|es|ed|en|ing)|evidence|against|guilt\w*|accus\w*",
    "fr": r"preuves?|prouv\w*|contre|coupable\w*|accus\w*",
    "nl": r"bewijs\w*|bewezen|aantonen|tegen|schuld\w*|beschuldig\w*",
    "de": r"\w*beweis\w*|\w*bewiesen\w*|nachweis\w*|gegen|schuld\w*|beschuldig\w*",
}
"""Words that take sides, by language."""

FRENCH_MARKS = re.compile(r"[^\u00a0\d]:(?!\d)|[^\u202f][;?!]|'")
"""Marks that may begin a line in French."""

ALIKE = {
    ("%(num)d minute", "%(num)d minutes"),
    ("%(num)d note", "%(num)d notes"),
    ("%(num)d passage", "%(num)d passages"),
    ("%(title)s: %(text)s",),
    ("Label: %(text)s",),
    ("{ms} ms later",),
}
"""Sentences of several words that are the same in two languages."""


@pytest.fixture(scope="module")
def sentences() -> set[str | tuple[str, ...]]:
    """Every sentence in the panel's code and templates."""
    return {found[2] for found in extract.extract_from_dir(str(ROOT), METHODS, {}, KEYWORDS)}


@pytest.fixture(scope="module", params=LANGUAGES)
def translation(request) -> Catalog:
    """The translation of each language."""
    with open(TRANSLATIONS / request.param / "LC_MESSAGES" / "messages.po", "rb") as file:
        return pofile.read_po(file, locale=request.param, abort_invalid=True)


def test_panel_has_every_announcement_language():
    assert list(NAMES) == list(purposes.LANGUAGES)
    assert sorted(WebConfig(b"k" * 32).languages) == sorted(["en", *LANGUAGES]) == sorted(NAMES)


def sentences_by_language() -> list[Mapping[str, str]]:
    """What the access log says, what is not possible, and what pages say of codes."""
    labels_ = [*GROUPS.values(), *(each.label for each in FIELDS.values())]
    of_codes = [words for table in SENTENCES.values() for words in table.values()]
    counts = [
        {language: forms[form] for language, forms in words.items()}
        for words in COUNTS.values()
        for form in (0, 1)
    ]
    kinds = (kind.sentence for kind in KINDS.values())
    return [*labels_, *kinds, *errors.ERRORS.values(), *of_codes, *counts]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_sentences_say_the_same_in_every_language(language):
    for words in sentences_by_language():
        assert _names(words[language]) == _names(words["en"])
        assert words[language].strip()
        assert " " not in words[language] or [*words.values()].count(words[language]) == 1, words
        assert not re.search(rf"\b({TAKING_SIDES[language]})\b", words[language], re.IGNORECASE), words
        assert language != "fr" or not FRENCH_MARKS.search(words[language]), words


def test_translations_are_complete_and_have_no_extras(sentences, translation):
    translated = {message.id for message in translation if message.id}
    assert translated == sentences
    for message in translation:
        if message.id:
            texts = _tuple(message.string)
            forms = translation.num_plurals if message.pluralizable else 1
            assert len(texts) == forms, message.id
            assert all(text.strip() for text in texts), message.id
            assert not message.fuzzy, message.id
    assert not translation.obsolete


def test_no_translation_is_in_another_language():
    """Detects merges that took the wrong side.  Single words may be the same in two languages."""
    language_of: dict[tuple[str, ...], str] = {}
    for language in LANGUAGES:
        with open(TRANSLATIONS / language / "LC_MESSAGES" / "messages.po", "rb") as file:
            for message in pofile.read_po(file, locale=language):
                texts = _tuple(message.string)
                if message.id and (" " in texts[0] or len(texts) > 1) and texts not in ALIKE:
                    assert texts != _tuple(message.id), f"{language}: English"
                    assert language_of.setdefault(texts, language) == language, f"{language}: {texts}"


def test_translations_keep_the_placeholders(translation):
    for message in translation:
        if message.id:
            for text in _tuple(message.string):
                assert _names(text) == _names(_tuple(message.id)[-1]), message.id


def test_compiled_catalogues_match_their_sources(translation):
    """``make`` compiles them before it runs the tests."""
    with open(TRANSLATIONS / str(translation.locale) / "LC_MESSAGES" / "messages.mo", "rb") as file:
        compiled = mofile.read_mo(file)

    def texts(catalog) -> dict:
        return {_tuple(each.id): _tuple(each.string) for each in catalog if each.id}

    assert texts(compiled) == texts(translation)
    assert compiled.plural_forms == translation.plural_forms


def _tuple(text) -> tuple[str, ...]:
    """The plural forms of a sentence; the reader of compiled files returns them as lists."""
    return (text,) if isinstance(text, str) else tuple(text)


def _names(text: str) -> list[str]:
    """The placeholders of a sentence, including malformed ones."""
    return sorted(re.findall(r"%(?:\(\w+\))?.|\{\w*\}?", text))


def test_french_marks_begin_no_line(translation):
    """A colon follows U+00A0; a semicolon, a question mark or an exclamation mark U+202F."""
    if str(translation.locale) == "fr":
        found = [each for message in translation if message.id for each in _tuple(message.string)]
        texts = [re.sub(r"\{\w*\}", "", each) for each in found]
        assert [each for each in texts if FRENCH_MARKS.search(each)] == []


def test_no_template_writes_a_mark_behind_a_value():
    """It would be English's, without French's space: ``words.titled`` has that of the reader's language."""
    mark = re.compile(r"\}\}(?:</?[a-z]+>)*[:;!?](?:[\s<]|$)", re.MULTILINE)
    assert not [each for each in ROOT.rglob("templates/**/*.html") if mark.search(each.read_text("utf-8"))]


def test_sentences_are_neutral(sentences, translation):
    texts = {"en": [text for one in sentences for text in _tuple(one)]}
    texts[str(translation.locale)] = [text for each in translation for text in _tuple(each.string)]
    for language, texts_in_language in texts.items():
        biased_words = re.compile(rf"\b({TAKING_SIDES[language]})\b", re.IGNORECASE)
        assert [text for text in texts_in_language if biased_words.search(text)] == []


def test_nobody_reads_the_products_name_under_another_brand(sentences):
    """The provider's name stands in its place: ``brand.name``, in a mail ``{provider}``."""
    mails = [each.read_text("utf-8") for each in MESSAGES.glob("*.toml")]
    texts = [text for one in sentences for text in _tuple(one)] + mails + [repr(SENTENCES)]
    assert not [each for each in texts if re.search(r"\bAccord\b(?! (demandé|retiré))", each)]


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ("not_recorded", REASONS),
        ("gap", GAP_REASONS),
        ("erasure_reason", amendment_kinds.ERASURE_REASONS),
        ("amendment", {*amendment_kinds.KINDS.values()} - {amendment_kinds.ERASED}),
        ("mode", [*MODES, OFF]),
        ("outbound", OUTBOUND_TIMINGS),
        ("role", [*roles.ROLES, *roles.PROVIDER_ROLES, *roles.GUESTS]),
        (
            "wants",
            [
                *subject_request_queries.WANTS,
                subject_request_queries.WITHDRAWAL,
                subject_request_queries.LISTENING,
            ],
        ),
        ("plan_feature", plans.FEATURES),
    ],
)
def test_every_code_has_a_sentence(table, codes):
    assert {code.partition(" ")[0] for code in SENTENCES[table]} - {OTHERWISE} == {*codes}


def test_pages_name_no_table_and_no_code_that_is_missing():
    pages = [*ROOT.rglob("*.py"), *ROOT.glob("**/templates/**/*.*")]
    source = "\n".join(each.read_text("utf-8") for each in pages)
    places = re.findall(
        r'(?<![A-Z]\.)\b(?:sentence|variant|labels)\(\s*"(\w+)"(?:, "([\w -]+)"\s*[,)])?', source
    )
    assert {table for table, _code in places} <= {*SENTENCES}
    assert {(table, code) for table, code in places if code and code not in SENTENCES[table]} == set()
    assert {*re.findall(r'\bplural\(\s*[\'"](\w+)[\'"]', source)} == {*COUNTS}
    assert {table for table in SENTENCES if f'"{table}"' not in source} == set()


def test_every_transfer_answer_has_a_sentence(app):
    refused = ("no", "none", "unclear", "left", "unasked", "unobserved")
    kinds = [
        ("transfer_question_finished", ""),
        *(("transfer_question_answered", each) for each in ("yes", "none")),
    ]
    kinds += [("transfer_question_refused", each) for each in refused]
    with app.test_request_context():
        sentences = [variant("participant_answer", *each) for each in kinds]
        unknown = variant("participant_answer", "transfer_question_refused", "in a way of tomorrow")
        assert unknown not in sentences
    assert len(set(sentences)) == len(sentences)


def test_every_eavesdropping_marker_has_a_sentence(app):
    audiences = {
        conference_events.audible_to(key, on_external) for key in "0123" for on_external in (True, False)
    }
    with app.test_request_context():
        sentences = [
            variant("marker", "supervisor_heard", f"{who} {lane}".strip()) for who, lane in audiences
        ]
        sentences += [variant("marker", kind, "") for kind in SUPERVISOR_KINDS]
    assert len(set(sentences)) == len(sentences) == 10
    assert {kind for kind in MARKER_KINDS if kind.startswith("supervisor_")} == set(SUPERVISOR_KINDS)


def test_every_refusal_of_the_gate_has_a_sentence():
    codes = set()
    for source in Path(interface.__file__).parent.rglob("*.py"):
        codes |= set(re.findall(r'"(access\.[a-z_]+)"', source.read_text("utf-8")))
    codes -= {"access.refused"}  # a leaf kind, not an error id
    assert codes - {"access.no_sound"} <= set(errors.ERRORS)


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
def test_formats_parties(party, text):
    assert formats.party(party).replace("\u00a0", " ") == text


@pytest.mark.usefixtures("in_english")
def test_formats_durations_and_positions():
    lengths = (0, 999, 1000, 61_000, 3_600_000, 3_725_000)
    assert [formats.duration(ms) for ms in lengths] == [
        "less than a second",
        "less than a second",
        "1 second",
        "1 minute 1 second",
        "1 hour",
        "1 hour 2 minutes",
    ]
    assert [formats.clock(ms) for ms in (0, 65_400, 3_725_000)] == ["0:00", "1:05", "1:02:05"]


DATES = {
    "fr": ("Mercredi 4 mars 2026", "4 mars 2026, 08:05", "heure d’Europe centrale", "1,25"),
    "nl": ("Woensdag 4 maart 2026", "4 maart 2026, 08:05", "Midden-Europese tijd", "1,25"),
    "de": ("Mittwoch, 4. März 2026", "4. März 2026, 08:05", "Mitteleuropäische Zeit", "1,25"),
    "en": ("Wednesday, 4 March 2026", "4 March 2026, 08:05", "Central European Time", "1.25"),
}


@pytest.mark.parametrize("language", DATES)
def test_formats_dates_and_numbers_by_language(app, monkeypatch, language):
    monkeypatch.setattr(app.extensions["babel"], "timezone_selector", lambda: "Europe/Brussels")
    monkeypatch.setattr("web.language.time_zone", lambda: "Europe/Brussels")
    at = datetime(2026, 3, 4, 7, 5, tzinfo=UTC)
    with app.test_request_context(headers={"Accept-Language": language}):
        assert (formats.day(at), formats.moment(at), zone_name(), format_decimal(1.25)) == DATES[language]


LENGTHS = {
    "fr": "moins d’une seconde, 1 seconde, 1 minute 2 secondes, 1 heure, 2 heures 2 minutes",
    "nl": "minder dan een seconde, 1 seconde, 1 minuut 2 seconden, 1 uur, 2 uur 2 minuten",
    "de": "weniger als eine Sekunde, 1 Sekunde, 1 Minute 2 Sekunden, 1 Stunde, 2 Stunden 2 Minuten",
}


@pytest.mark.parametrize("language", LENGTHS)
def test_formats_singular_and_plural(app, language):
    with app.test_request_context(headers={"Accept-Language": language}):
        lengths = [formats.duration(ms) for ms in (0, 1000, 62_000, 3_600_000, 7_320_000)]
        assert ", ".join(lengths) == LENGTHS[language]


@pytest.mark.parametrize("language", ["es", "xx"])
def test_unknown_language_is_refused_at_start(house, monkeypatch, language):
    monkeypatch.setitem(NAMES, "es", "Español")  # a name without a translation
    with pytest.raises(ValueError, match="not translated"):
        create_app(PanelState(WebConfig(b"k" * 32, languages=("en", language)), gate=house.gate))


def test_language_is_the_chosen_or_the_users_or_the_browsers(browser, bakery):
    stranger = browser()
    assert "<h1>Log in</h1>" in stranger.get("/login").text
    assert "<h1>Se connecter</h1>" in stranger.get("/login", headers={"Accept-Language": "fr-BE"}).text
    person = browser("claire")
    assert '<html lang="fr">' in person.get("/recordings", headers={"Accept-Language": "en"}).text
    answer = person.send("/language", language="en", next="/recordings?show=recorded")
    assert answer.location == "/recordings?show=recorded"
    assert '<html lang="en">' in person.get("/recordings").text
    person.send("/language", language="xx")
    assert '<html lang="en">' in person.get("/recordings").text


@pytest.mark.parametrize(
    ("accepted_languages", "language", "heading"),
    [
        ("fr-BE", "fr", "Se connecter"),
        ("nl-BE", "nl", "Inloggen"),
        ("de-AT,en;q=0.5", "de", "Anmelden"),
        ("en;q=0.5,nl-NL;q=0.7", "nl", "Inloggen"),
        ("es,de;q=0,fr;q=0.1", "fr", "Se connecter"),
        ("en-US", "en", "Log in"),
        ("es", "en", "Log in"),
    ],
)
def test_panel_uses_the_browsers_language(browser, accepted_languages, language, heading):
    text = browser().get("/login", headers={"Accept-Language": accepted_languages}).text
    assert f'<html lang="{language}">' in text
    assert f"<h1>{heading}</h1>" in text
    offered = re.findall(r'name="language" value="(\w+)" lang="\1"( aria-current="true")?', text)
    assert offered == [
        (code, ' aria-current="true"' if code == language else "") for code in ("fr", "nl", "de", "en")
    ]
