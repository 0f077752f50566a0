"""Announcements composed from sentences, and their lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from recorder.auditlog import append
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import MOST_LANGUAGES, AnnouncementRow, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.line import LineTable
from recorder.domain.call_plan import MODES, Mode
from recorder.domain.sentences import SpokenSentence
from recorder.errors import AccordError
from recorder.features.tenants import (
    announcements,
    composition,
    line_settings,
    lines,
    service,
    setup,
)
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.lifecycle import line_history, plans
from recorder.prompts import composer
from recorder.prompts.country_file import shipped_packs
from recorder.prompts.sound_sources import Sources
from tests.announcements import announcement_in


@pytest.fixture
def now(clock, entropy) -> dict[str, object]:
    return {"now": clock(), "entropy": entropy}


@pytest.fixture
def compose(tenants, now) -> Callable[..., AnnouncementRow]:
    def make(language: str = "fr", mode: str = "notice", **changes) -> AnnouncementRow:
        whole = {"name": f"told-{language}", "purposes": ["agreement"], "keep_days": 30, **changes}
        return composition.compose(tenants[0], language=language, mode=mode, **whole, **now)

    return make


@pytest.fixture
def line(tenants, compose, now) -> Callable[..., LineRow]:
    def make(**changes) -> LineRow:
        return lines.create_line(tenants[0], number="100", announcement=compose(**changes).id, **now)

    return make


@pytest.fixture
def greeting() -> bytes:
    return announcement_in("fr").path.read_bytes()


class Voice:
    """A speech engine for customers' own sentences."""

    name = "a test's voice"

    def speaks(self, language: str) -> bool:
        return True

    def speak(self, text: str, language: str):
        return Sources().clip(composer.clip_text("recorded", language)).samples


ENGINES = Sources(engines=(Voice(),))


@pytest.fixture
def school(tenants, now) -> str:
    """The customer's own purpose."""
    with writing():
        PurposeTable.create(
            id="school",
            tenant=tenants[0],
            code="school",
            labels={"fr": "École"},
            legal_basis="consent",
            longest_days=60,
            roles=["customer"],
            created_at=now["now"],
        )
    return "school"


def text_and_sound(sentence: SpokenSentence | None) -> tuple[str, bytes] | None:
    if sentence is None:
        return None
    with connected():
        return sentence.text, bytes(SoundTable.get_by_id(sentence.sha256).wav)


def refusal(work: Callable[[], object]) -> AccordError:
    """The error of a refusal, which must change nothing."""
    before = everything()
    with pytest.raises(AccordError) as failure:
        work()
    assert everything() == before
    assert failure.value.hint
    return failure.value


def everything() -> list[list[tuple]]:
    with connected():
        return [
            list(model.select().tuples()) for model in (SoundTable, AnnouncementTable, LineTable, LeafTable)
        ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_composed_texts_match_the_sentences(compose, language: str, mode: Mode) -> None:
    row = compose(language, mode, purposes=["quality", "agreement"])
    options = {"purposes": ["agreement", "quality"], "keep_days": 30}
    rendered = composer.announcement(language, mode=mode, **options)
    assert text_and_sound(SpokenSentence(row.text, row.sound)) == (rendered.text, rendered.wav)
    assert (row.language, row.mode, row.purposes) == (language, mode, ("quality", "agreement"))
    if mode == "notice":
        assert (row.question, row.declined) == (None, None)
        return
    refused = composer.not_recorded(language)
    phrase = (
        composer.opt_in_question(language, **options) if mode == "opt-in" else composer.wrong_key(language)
    )
    assert text_and_sound(row.question) == (phrase.text, phrase.wav)
    assert text_and_sound(row.declined) == (refused.text, refused.wav)


@pytest.mark.parametrize(
    ("error_id", "changes"),
    [
        ("announcement.purposes", {"purposes": []}),
        ("announcement.purposes", {"purposes": ["marketing"]}),
        ("announcement.keep_days", {"keep_days": 0}),
        ("announcement.keep_days", {"purposes": ["training"], "keep_days": 181}),
        ("line.settings", {"mode": "silence"}),
        ("prompt.language", {"language": "es"}),
        ("prompt.not_wav", {"greeting": composer.Greeting("Bonjour.", b"")}),
        ("tts.none", {"keep_days": 29}),
    ],
)
def test_impossible_composition_is_refused(compose, error_id: str, changes: dict) -> None:
    assert refusal(lambda: compose(**changes)).error_id == error_id


def test_composition_against_the_country_is_refused(tenants, compose, now) -> None:
    service.set_tenant_country(tenants[0], "fr", **now)
    assert refusal(lambda: compose(keep_days=365)).error_id == "country.keep_days"


def test_mode_change_and_back_reuses_sounds(tenants, line, now) -> None:
    mine = tenants[0]
    row = line()
    before = queries.announcement(mine, row.announcement)
    ids = {"notice": before.id}
    for mode in ("opt-in", "opt-out", "notice", "opt-in", "opt-out"):
        assert change_line(mine, row.id, LineChange(mode=mode), **now)
        changed = queries.line(mine, row.id)
        announcement = queries.announcement(mine, changed.announcement)
        assert (changed.mode, announcement.mode) == (mode, mode)
        assert (announcement.language, announcement.purposes, announcement.keep_days) == (
            "fr",
            ("agreement",),
            30,
        )
        assert (announcement.question is None) == (mode == "notice")
        assert ids.setdefault(mode, announcement.id) == announcement.id, (
            "what is there already is not made again"
        )
    assert {each.name for each in queries.announcements(mine)} == {
        "told-fr",
        "told-fr-opt-in",
        "told-fr-opt-out",
    }
    last = _log(mine)[-1]
    assert last.kind == "line.changed"
    body = json.loads(last.body)
    assert (body["mode_was"], body["mode"], body["actor"]) == ("opt-in", "opt-out", "operator")
    assert body["announcement_was"] == ids["opt-in"]


def _log(tenant: str) -> list[LeafTable]:
    with connected():
        entries = LeafTable.select().where(LeafTable.tenant == tenant)
        return list(entries.order_by(LeafTable.number))


def test_unchanged_mode_changes_nothing(tenants, line, now) -> None:
    row = line(mode="opt-out")
    before = everything()
    assert change_line(tenants[0], row.id, LineChange(mode="opt-out"), **now)
    assert change_line(tenants[0], row.id, LineChange(languages=["fr"]), **now)
    assert everything() == before


def test_timing_change_is_logged(tenants, line, now) -> None:
    mine, row = tenants[0], line()
    assert change_line(mine, row.id, LineChange(timing="at_pickup"), **now)
    assert queries.line(mine, row.id).timing == "at_pickup"
    before = everything()
    assert change_line(mine, row.id, LineChange(timing="at_pickup"), **now)
    assert everything() == before
    changed = {"timing": "at_pickup", "timing_was": "before_ringing"}
    assert json.loads(_log(mine)[-1].body) == {"line": row.id, "actor": "operator", **changed}
    assert not change_line(tenants[1], row.id, LineChange(timing="before_ringing"), **now)
    for mode in ("opt-out", "opt-in"):
        error = refusal(lambda mode=mode: change_line(mine, row.id, LineChange(mode=mode), **now))
        assert error.error_id == "line.timing"
    error = refusal(lambda: change_line(mine, row.id, LineChange(timing="later"), **now))
    assert error.error_id == "line.settings"


def test_outbound_change_is_logged(tenants, line, now) -> None:
    mine, row = tenants[0], line()
    assert queries.line(mine, row.id).outbound == "off"
    assert change_line(mine, row.id, LineChange(outbound="once_connected"), **now)
    assert queries.line(mine, row.id).outbound == "once_connected"
    before = everything()
    assert change_line(mine, row.id, LineChange(outbound="once_connected"), **now)
    assert everything() == before
    changed = {"outbound": "once_connected", "outbound_was": "off"}
    assert json.loads(_log(mine)[-1].body) == {"line": row.id, "actor": "operator", **changed}
    assert not change_line(tenants[1], row.id, LineChange(outbound="off"), **now)
    for mode in ("opt-out", "opt-in"):
        error = refusal(lambda mode=mode: change_line(mine, row.id, LineChange(mode=mode), **now))
        assert error.error_id == "line.timing"
    assert change_line(mine, row.id, LineChange(outbound="before_connected"), **now)
    assert change_line(mine, row.id, LineChange(mode="opt-in"), **now)
    error = refusal(lambda: change_line(mine, row.id, LineChange(outbound="once_connected"), **now))
    assert error.error_id == "line.timing"
    error = refusal(lambda: change_line(mine, row.id, LineChange(outbound="later"), **now))
    assert error.error_id == "line.settings"


def test_mode_change_keeps_greeting_and_own_purposes(tenants, compose, greeting, school, now) -> None:
    mine = tenants[0]
    options = {"purposes": ["agreement", "school"], "own": {"school": "Pour l'école", "other": "x"}}
    hello = composer.Greeting("Bienvenue chez Martin.", greeting)
    row = compose(greeting=hello, sources=ENGINES, mode="opt-in", **options)
    assert row.composition.own == {"school": "Pour l'école"}
    assert text_and_sound(row.composition.greeting) == ("Bienvenue chez Martin.", greeting)
    assert not row.composition.says_all
    assert not row.text.startswith("Bienvenue"), "in opt-in it was heard before the question"
    assert row.question.text.startswith("Bienvenue chez Martin. ")
    service.set_tenant_country(mine, "fr", **now)  # opt-out is enough there
    line = lines.create_line(mine, number="100", announcement=row.id, **now)
    assert change_line(mine, line.id, LineChange(mode="opt-out"), sources=ENGINES, **now)
    announcement = queries.announcement(mine, queries.line(mine, line.id).announcement)
    assert announcement.text.startswith("Bienvenue chez Martin. ")
    assert "Pour l'école." in announcement.text
    assert announcement.composition == row.composition


def test_own_sound_cannot_change_mode(tenants, compose, greeting, tone, now) -> None:
    mine = tenants[0]
    own = announcements.create_announcement(
        mine,
        name="own",
        language="fr",
        text="Enregistré.",
        purposes=["agreement"],
        keep_days=30,
        wav=tone(1000),
        **now,
    )
    full_greeting = compose(
        greeting=composer.Greeting("Bienvenue, et tout le reste.", greeting, says_all=True)
    )
    assert (full_greeting.text, full_greeting.composition.says_all) == ("Bienvenue, et tout le reste.", True)
    for number, row, what in (("100", own, "own sound"), ("101", full_greeting, "says everything itself")):
        line = lines.create_line(mine, number=number, announcement=row.id, **now)
        error = refusal(lambda line=line: change_line(mine, line.id, LineChange(mode="opt-out"), **now))
        assert error.error_id == "announcement.own"
        assert what in error.message
        for word in ("add --mode opt-out", "compose --mode opt-out", "accord line set --announcement"):
            assert word in error.hint


def test_languages_are_composed_with_a_menu(tenants, line, now) -> None:
    mine = tenants[0]
    row = line(mode="opt-in")
    assert change_line(mine, row.id, LineChange(languages=["en", "fr", "nl"]), **now)
    changed = queries.line(mine, row.id)
    announcements = [queries.announcement(mine, each) for each in changed.announcements]
    assert [(each.language, each.mode) for each in announcements] == [
        (language, "opt-in") for language in ("en", "fr", "nl")
    ]
    assert announcements[1].id == row.announcement, "what it says already stays"
    menu = composer.language_menu(["en", "fr", "nl"])
    assert text_and_sound(changed.menu) == (menu.text, menu.wav)
    assert change_line(mine, row.id, LineChange(mode="opt-out"), **now)
    again = queries.line(mine, row.id)
    assert again.menu == changed.menu
    assert {queries.announcement(mine, each).mode for each in again.announcements} == {"opt-out"}
    assert change_line(mine, row.id, LineChange(languages=["nl"]), **now)
    alone = queries.line(mine, row.id)
    assert (alone.announcements, alone.menu) == ((again.others[1],), None)


def test_announcement_of_the_same_name_serves_a_language(tenants, line, compose, greeting, now) -> None:
    mine = tenants[0]
    row = line()
    other = compose("nl", name="other-nl")
    fits = compose("nl", greeting=composer.Greeting("Welkom.", greeting))
    compose("nl", "opt-in", name="told-nl-opt-in")
    compose("en", keep_days=60)
    change_line(mine, row.id, LineChange(languages=["fr", "nl", "en"]), **now)
    announcements = [queries.announcement(mine, each) for each in queries.line(mine, row.id).announcements]
    assert announcements[1].id == fits.id != other.id
    assert (announcements[2].name, announcements[2].keep_days) == ("told-en-notice", 30)


@pytest.mark.parametrize("languages", [[], ["fr", "fr"], ["fr", "nl", "fr"], [f"l{n}" for n in range(10)]])
def test_languages_without_a_menu_are_refused(tenants, line, now, languages) -> None:
    mine, row = tenants[0], line()
    draft = setup.current_draft(mine, row)
    draft = replace(draft, settings=replace(draft.settings, languages=tuple(languages)))
    plan = plans.plan_of(mine)
    for work in (
        lambda: change_line(mine, row.id, LineChange(languages=languages), **now),
        lambda: setup.preview_draft(mine, row, draft),
        lambda: line_settings.complete_settings(
            shipped_packs()["be"], plan, languages=languages, sources=ENGINES
        ),
    ):
        error = refusal(work)
        assert (error.error_id, error.hint) == (
            "line.languages",
            f"1 to {MOST_LANGUAGES} languages, each once",
        )


def test_language_without_sentences_is_refused(tenants, compose, school, now) -> None:
    mine = tenants[0]
    options = {"purposes": ["school"], "own": {"school": "Pour l'école"}, "sources": ENGINES}
    row = lines.create_line(mine, number="100", announcement=compose(mode="opt-in", **options).id, **now)
    error = refusal(lambda: change_line(mine, row.id, LineChange(languages=["fr", "es"]), **now))
    assert error.error_id in ("line.languages", "prompt.language")
    error = refusal(lambda: change_line(mine, row.id, LineChange(languages=["fr", "nl"]), **now))
    assert (error.error_id, "--own school=" in error.hint) == ("line.languages", True)
    dutch = {**options, "own": {"school": "Voor de school"}, "name": "told-nl-opt-in"}
    there = compose("nl", "opt-in", **dutch)
    assert f" {there.name} " in error.hint, "the name that is told is the one that is looked for"
    assert change_line(mine, row.id, LineChange(languages=["fr", "nl"]), **now)
    assert queries.line(mine, row.id).others == (there.id,)


def test_ended_line_cannot_be_changed(tenants, line, now) -> None:
    row = line()
    line_history.end_line(tenants[0], row.id, **now)
    assert not change_line(tenants[0], row.id, LineChange(mode="opt-in"), **now)
    assert not change_line(tenants[0], row.id, LineChange(languages=["fr", "en"]), **now)


def test_concurrent_change_is_checked_again(
    tenants, line, compose, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sound is composed before the customer is locked, so another command may come in between."""
    mine, row, lock = tenants[0], line(), append.lock_tenant
    english = compose("en")

    def late(tenant: str) -> None:
        monkeypatch.setattr(append, "lock_tenant", lock)
        change_line(mine, row.id, LineChange(announcements=[english.id]), **now)
        lock(tenant)

    monkeypatch.setattr(append, "lock_tenant", late)
    assert change_line(mine, row.id, LineChange(mode="opt-in"), **now)
    announcement = queries.announcement(mine, queries.line(mine, row.id).announcement)
    assert (announcement.language, announcement.mode) == ("en", "opt-in")
