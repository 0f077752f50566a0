"""The rules for what a line says, each at its boundaries."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from functools import partial

import pytest

from recorder.catalogue.records import ASKING_MODES, MOST_LANGUAGES
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.domain.call_plan import MODES, NOTICE
from recorder.domain.line_policy import AT_PICKUP, ONCE_CONNECTED
from recorder.errors import CatalogueError
from recorder.features.tenants import rules
from recorder.features.tenants.rules import OwnSound

ASKS = ASKING_MODES[0]
LANGUAGES = [f"l{number}" for number in range(MOST_LANGUAGES + 1)]


def refusal(attempt: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(CatalogueError) as failure:
        attempt()
    return failure.value.error_id, failure.value.message


def announcement(language: str = "fr", **changes: object) -> AnnouncementTable:
    values = {"name": "default", "version": 1, "mode": NOTICE, "purposes": ["a", "b"], "keep_days": 30}
    return AnnouncementTable(**values | {"language": language} | changes)


def test_only_known_modes_exist() -> None:
    assert [rules.check_mode(each) for each in MODES] == list(MODES)
    assert refusal(lambda: rules.check_mode("silent"))[0] == "line.settings"


@pytest.mark.parametrize("ms", [500, 60_000])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_sound_lasts_half_a_second_to_a_minute(tone, ms: int, rate: int) -> None:
    assert rules.sound_duration_ms(tone(ms=ms, rate=rate)) == ms


@pytest.mark.parametrize(
    "shape",
    [{"ms": 499}, {"ms": 60_001}, {"rate": 44100}, {"channels": 2}, {"level": 32767}],
)
def test_any_other_sound_is_refused(tone, shape: dict[str, int]) -> None:
    assert refusal(lambda: rules.sound_duration_ms(tone(**shape)))[0] == "announcement.sound"


def test_what_is_no_wav_is_refused() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    for content in (b"", b"ID3", out.getvalue()):
        assert refusal(lambda content=content: rules.sound_duration_ms(content))[0] == "announcement.sound"


def test_a_sound_has_its_text(tone) -> None:
    assert rules.check_spoken(OwnSound("Hello.", tone(ms=700)), "menu") == 700
    assert refusal(lambda: rules.check_spoken(OwnSound(" \n", tone()), "menu"))[0] == "announcement.text"


def test_a_question_belongs_to_a_mode_that_asks(tone) -> None:
    sound, mute = OwnSound("Said.", tone()), OwnSound("", tone())
    rules.check_question(NOTICE, None, None)
    for mode in ASKING_MODES:
        rules.check_question(mode, sound, sound)
        assert "needs its question" in refusal(lambda mode=mode: rules.check_question(mode, None, sound))[1]
        assert "needs its declined" in refusal(lambda mode=mode: rules.check_question(mode, sound, None))[1]
    for parts in ((sound, None), (None, sound)):
        found = refusal(lambda parts=parts: rules.check_question(NOTICE, *parts))
        assert found[0] == "announcement.question"
    for parts in ((sound, mute), (mute, sound)):
        assert refusal(lambda parts=parts: rules.check_question(ASKS, *parts))[0] == "announcement.text"


def test_whoever_is_asked_is_asked_before_the_parties_are_connected() -> None:
    for timing in ("before_ringing", AT_PICKUP):
        for outbound in ("before_connected", ONCE_CONNECTED):
            rules.check_timing(timing, outbound, NOTICE, [])
    for mode, others in ((ASKS, []), (NOTICE, ["nl"]), (ASKS, ["nl"])):
        rules.check_timing("before_ringing", "before_connected", mode, others)
        for timing, outbound, when in (
            ("before_ringing", ONCE_CONNECTED, "before connecting"),
            (AT_PICKUP, "before_connected", "before ringing"),
        ):
            code, message = refusal(
                lambda values=(timing, outbound, mode, others): rules.check_timing(*values)
            )
            assert (code, when in message) == ("line.timing", True)
            assert ("asks" in message) == (mode != NOTICE)


def test_an_announcement_is_for_the_mode_that_is_expected() -> None:
    rules.check_expected_mode(announcement(), None)
    rules.check_expected_mode(announcement(), NOTICE)
    assert refusal(lambda: rules.check_expected_mode(announcement(), ASKS))[0] == "line.mode"


def test_a_line_speaks_a_few_languages_each_once() -> None:
    rules.check_spoken_languages(LANGUAGES[:1])
    rules.check_spoken_languages(LANGUAGES[:-1])
    for languages in ([], LANGUAGES, ["fr", "fr"]):
        code, message = refusal(partial(rules.check_spoken_languages, languages))
        assert (code, message.endswith(", ".join(languages) or "no language")) == ("line.languages", True)


def test_announcements_of_a_line_promise_the_same() -> None:
    rules.check_languages([announcement(each) for each in LANGUAGES[:-1]])
    rules.check_languages([announcement("fr"), announcement("nl", purposes=["b", "a"])])
    for rows in ([announcement(each) for each in LANGUAGES], [announcement("fr"), announcement("fr")]):
        assert refusal(lambda rows=rows: rules.check_languages(rows))[0] == "line.languages"
    for changes in ({"mode": ASKS}, {"purposes": ["a"]}, {"keep_days": 31}):
        rows = [announcement("fr"), announcement("nl"), announcement("de", **changes)]
        code, message = refusal(lambda rows=rows: rules.check_languages(rows))
        assert (code, "(version 1, de) says" in message) == ("line.languages", True)


def test_a_menu_belongs_to_several_languages(tone) -> None:
    menu = OwnSound("Press 1.", tone())
    one, two = [announcement()], [announcement("fr"), announcement("nl")]
    rules.check_menu(one, None)
    rules.check_menu(two, menu)
    assert "in one language" in refusal(lambda: rules.check_menu(one, menu))[1]
    assert "in several" in refusal(lambda: rules.check_menu(two, None))[1]
    assert refusal(lambda: rules.check_menu(two, OwnSound("", menu.wav)))[0] == "announcement.text"
