"""An announcement is made for a mode, which its lines take over; an invalid combination is refused and
changes nothing."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from peewee import IntegrityError

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.line import LineTable
from recorder.domain.call_plan import MODES
from recorder.domain.sentences import SpokenSentence
from recorder.errors import CatalogueError
from recorder.features.tenants import announcements, lines
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.rules import OwnSound


@pytest.fixture
def now(clock, entropy) -> dict[str, object]:
    return {"now": clock(), "entropy": entropy}


@pytest.fixture
def beside(tone) -> dict[str, OwnSound]:
    """The sounds that a mode with a question needs."""
    return {
        "question": OwnSound("May we record?", tone(2000, level=300)),
        "declined": OwnSound("Not recorded.", tone(700, level=400)),
    }


@pytest.fixture
def own(tenants, tone, now, beside) -> Callable[..., str]:
    """Adds a customer's own sound for a mode; returns its id."""

    def make(language: str = "en", mode: str = "notice", tenant: str = tenants[0], **changes) -> str:
        consent_sentences = {} if mode == "notice" else beside
        whole = {"purposes": ["agreement"], "keep_days": 30, "wav": tone(1000), "text": "Told."}
        whole |= {
            "name": f"{language}-{mode}",
            "language": language,
            "mode": mode,
            **consent_sentences,
            **changes,
        }
        return announcements.create_announcement(tenant, **whole, **now).id

    return make


@pytest.fixture
def menu(tone) -> OwnSound:
    return OwnSound("For English, press 1.", tone(1500, level=500))


def refusal(work: Callable[[], object]) -> CatalogueError:
    """The error of a refusal, which must change nothing."""
    before = everything()
    with pytest.raises(CatalogueError) as failure:
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
def test_announcement_stores_its_question(tenants, own, beside, tone, mode) -> None:
    row = queries.announcement(tenants[0], own(mode=mode))
    assert (row.mode, row.composition) == (mode, None)
    if mode == "notice":
        assert (row.question, row.declined) == (None, None)
        return
    assert row.question.text == "May we record?"
    assert row.declined.text == "Not recorded."
    with connected():
        sounds = {sound.sha256: bytes(sound.wav) for sound in SoundTable.select()}
    assert sounds[row.question.sha256] == beside["question"].wav
    assert sounds[row.declined.sha256] == beside["declined"].wav


@pytest.mark.parametrize(
    ("mode", "changes", "error_id"),
    [
        ("opt-out", {"question": None}, "announcement.question"),
        ("opt-in", {"declined": None}, "announcement.question"),
        ("notice", {"question": OwnSound("?", b"")}, "announcement.question"),
        ("notice", {"declined": OwnSound("!", b"")}, "announcement.question"),
        ("opt-in", {"question": OwnSound("?", b"RIFF")}, "announcement.sound"),
        ("opt-in", {"declined": OwnSound("!", b"")}, "announcement.sound"),
        ("opt-in", {"purposes": []}, "announcement.purposes"),
        ("opt-in", {"purposes": ["marketing"]}, "announcement.purposes"),
        ("opt-in", {"keep_days": 4000}, "announcement.keep_days"),
        ("silence", {}, "line.settings"),
    ],
)
def test_announcement_that_does_not_fit_its_mode_is_refused(own, mode, changes, error_id) -> None:
    assert refusal(lambda: own(mode=mode, **changes)).error_id == error_id


@pytest.mark.parametrize("what", ["announcement", "question", "declined", "menu"])
def test_unplayable_prompt_is_refused(tenants, own, tone, now, what) -> None:
    loud = io.BytesIO()
    wave = np.clip(np.sin(np.arange(8000) / 5) * 3, -1, 1)
    soundfile.write(loud, wave, 8000, format="WAV", subtype="PCM_16")
    flac = io.BytesIO()
    soundfile.write(flac, wave / 4, 8000, format="FLAC")
    bad = {
        "it is no PCM WAV file": [b"", b"RIFF", b"no sound at all" * 100, flac.getvalue()],
        "it has 2 channels": [tone(channels=2)],
        "44100 Hz": [tone(rate=44100)],
        "it is too loud": [loud.getvalue()],
        "it lasts": [tone(100), tone(61_000, level=3)],
    }
    english, french = own("en", "opt-in"), own("fr", "opt-in")
    for why, wavs in bad.items():
        for wav in wavs:

            def work(wav: bytes = wav) -> object:
                if what == "announcement":
                    return own(mode="opt-in", wav=wav)
                if what != "menu":
                    return own(mode="opt-in", **{what: OwnSound("Told.", wav)})
                options = {"announcement": english, "others": [french], "menu": OwnSound("1 or 2", wav)}
                return lines.create_line(tenants[0], number="100", **options, **now)

            error = refusal(work)
            assert error.error_id == "announcement.sound"
            assert why in error.message


def test_prompt_without_text_is_refused(tenants, own, tone, now) -> None:
    for what in ("question", "declined"):
        error = refusal(lambda what=what: own(mode="opt-in", **{what: OwnSound(" \n", tone())}))
        assert error.error_id == "announcement.text"
    options = {"announcement": own("en"), "others": [own("fr")], "menu": OwnSound("", tone())}
    error = refusal(lambda: lines.create_line(tenants[0], number="100", **options, **now))
    assert error.error_id == "announcement.text"


def test_line_has_its_announcements_mode(tenants, own, now) -> None:
    mine = tenants[0]
    announcements = {mode: own(mode=mode) for mode in MODES}
    for number, mode in enumerate(MODES, start=100):
        line = lines.create_line(mine, number=str(number), announcement=announcements[mode], **now)
        assert line.mode == mode
        for other in MODES:
            error_id = None
            if other != mode:
                reason = {"number": "200", "announcement": announcements[mode], "mode": other}
                error = refusal(lambda reason=reason: lines.create_line(mine, **reason, **now))
                error_id = error.error_id
                assert f"was made for {mode}, not for {other}" in error.message
                assert f"compose --mode {other}" in error.hint
            assert error_id == (None if other == mode else "line.mode")
    for mode in ("opt-in", "notice", "opt-out"):
        assert change_line(mine, line.id, LineChange(announcements=[announcements[mode]]), **now)
        assert queries.line(mine, line.id).mode == mode


def test_line_with_several_languages_has_a_menu(tenants, own, menu, now) -> None:
    mine = tenants[0]
    announcements = [own(language) for language in ("en", "fr", "nl")]
    options = {"announcement": announcements[0], "others": announcements[1:], "menu": menu}
    line = lines.create_line(mine, number="100", **options, **now)
    assert line == queries.line(mine, line.id)
    assert line.announcements == tuple(announcements)
    assert line.menu.text == menu.text
    with connected():
        assert bytes(SoundTable.get_by_id(line.menu.sha256).wav) == menu.wav
    assert change_line(mine, line.id, LineChange(announcements=[announcements[2]]), **now)
    row = queries.line(mine, line.id)
    assert (row.announcement, row.others, row.menu) == (announcements[2], (), None)


def test_incompatible_languages_are_refused(tenants, own, menu, now) -> None:
    mine, other = tenants
    first = own("en")
    line = lines.create_line(mine, number="100", announcement=first, **now)
    many = [own(f"l{number}") for number in range(9)]
    wrong = {
        "line.languages": [
            [own("en", name="again")],
            [own("fr", "opt-in")],
            [own("fr", purposes=["agreement", "quality"])],
            [own("fr", keep_days=31)],
            many,
        ],
        "announcement.unknown": [[own("fr", tenant=other)], ["nobody's"]],
    }
    for error_id, cases in wrong.items():
        for others in cases:

            def add(others: list[str] = others) -> object:
                options = {"announcement": first, "others": others, "menu": menu}
                return lines.create_line(mine, number="200", **options, **now)

            def change(others: list[str] = others) -> object:
                return change_line(
                    mine, line.id, LineChange(announcements=[first, *others], menu=menu), **now
                )

            assert [refusal(work).error_id for work in (add, change)] == [error_id] * 2
    change_line(mine, line.id, LineChange(announcements=[first, *many[:8]], menu=menu), **now)
    assert len(queries.line(mine, line.id).announcements) == 9


def test_menu_requires_several_languages(tenants, own, menu, now) -> None:
    options, others = {"number": "100", "announcement": own("en")}, [own("fr")]
    alone = refusal(lambda: lines.create_line(tenants[0], **options, menu=menu, **now))
    silent = refusal(lambda: lines.create_line(tenants[0], **options, others=others, **now))
    assert (alone.error_id, silent.error_id) == ("line.menu", "line.menu")


def test_line_of_another_customer_is_unchanged(tenants, own, menu, now) -> None:
    mine, other = tenants
    line = lines.create_line(mine, number="100", announcement=own("en"), **now)
    theirs = own("en", "opt-in", tenant=other)
    before = everything()
    assert not change_line(other, line.id, LineChange(announcements=[theirs]), **now)
    assert not change_line(other, line.id, LineChange(mode="opt-in"), **now)
    assert not change_line(other, line.id, LineChange(languages=["en", "fr"]), **now)
    assert everything() == before


def test_reference_to_a_missing_sound_is_refused(tenants, own, menu, now) -> None:
    announcements = [own("en", "opt-in"), own("fr", "opt-in")]
    options = {"announcement": announcements[0], "others": announcements[1:], "menu": menu}
    lines.create_line(tenants[0], number="100", **options, **now)
    nowhere = "00" * 32
    for change in (
        AnnouncementTable.update(question=nowhere),
        AnnouncementTable.update(declined=nowhere),
        AnnouncementTable.update(greeting=nowhere),
        LineTable.update(menu=nowhere),
        SoundTable.delete().where(SoundTable.sha256 == LineTable.select(LineTable.menu).limit(1)),
    ):
        with pytest.raises(IntegrityError), writing():
            change.execute()
    assert queries.announcement(tenants[0], announcements[0]).question == SpokenSentence(
        "May we record?", queries.announcement(tenants[0], announcements[1]).question.sha256
    )
