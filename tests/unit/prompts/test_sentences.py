"""The sentences in every language: retention periods, purposes, and texts that cannot be spoken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recorder.errors import ConfigError
from recorder.prompts import sentences
from recorder.prompts.purposes import LANGUAGES, standard
from recorder.prompts.sentences import ASKED_FOR, RECORDED_FOR, all_clip_texts, clip_text, purpose_sentences
from tests.expected_errors import expect_error


def time_in_words(keep_days: int, language: str) -> str:
    """A retention period as it is spoken: "thirty days"."""
    return sentences._time(keep_days, sentences.check_language(language))[1]


GOOD = Path(sentences.__file__).with_name("sentences.toml").read_text(encoding="utf-8")
DAYS = (1, 7, 14, 30, 60, 90, 180, 365, 730, 1095, 1826, 2557, 3653)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence(language: str) -> None:
    found = all_clip_texts(language)
    assert list(found) == list(all_clip_texts("en"))
    for clip, each in found.items():
        assert clip == each.clip
        assert re.fullmatch(r"[a-z0-9-]+", clip)
        digit = clip.startswith("digit-")  # the same digit in every language
        assert digit or each.text[0].isupper()
        assert each.text[-1] in ".?"
        assert not re.search(r"[{}]|\s\s", each.text + each.spoken)
        assert len(each.text) < 130
        assert digit or language == "en" or each.text != all_clip_texts("en")[clip].text
    assert len({each.text for each in found.values()}) == len(found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_wording_is_neutral(language: str) -> None:
    words = " ".join(each.text for each in all_clip_texts(language).values())
    assert not re.search(
        r"proof|\bprove|evidence|against|preuve|contre|bewijs|beweis|gegen|tegen", words, re.IGNORECASE
    )


def test_long_wording_mentions_listening_together() -> None:
    together = {
        "fr": "réécouter",
        "nl": "samen opnieuw",
        "de": "gemeinsam",
        "en": "listen to it together later",
    }
    for language, words in together.items():
        assert words in clip_text("for-agreement", language).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_keys_are_written_as_digits_and_spoken_as_words(language: str) -> None:
    for name in ("opt-out", "opt-in", "language", "yes-or-no"):
        each = clip_text(name, language)
        assert re.search(r"\d", each.text)
        assert not re.search(r"\d", each.spoken)
        assert len(each.text.split()) == len(each.spoken.split())
    assert [clip_text("language", language, key=key).clip for key in (1, 4)] == ["language-1", "language-4"]


@pytest.mark.parametrize("days", DAYS)
def test_usual_retention_periods_are_spoken_in_words(days: int) -> None:
    for language in LANGUAGES:
        words = time_in_words(days, language)
        assert not re.search(r"\d", words)
        each = clip_text("kept", language, keep_days=days)
        assert words in each.text
        assert each.clip in all_clip_texts(language)


def test_years_with_and_without_leap_days() -> None:
    assert {time_in_words(days, "en") for days in (3650, 3652, 3653)} == {"ten years"}
    assert {time_in_words(days, "nl") for days in (365, 366)} == {"één jaar"}
    assert time_in_words(3651, "en") == "3651 days"
    assert max(purpose.longest_keep_days for purpose in standard().values()) == 3653
    assert time_in_words(standard()["legal-duty"].longest_keep_days, "fr") == "sept ans"


def test_other_retention_periods_are_spoken_in_days() -> None:
    assert [time_in_words(45, language) for language in LANGUAGES] == [
        "45 jours",
        "45 dagen",
        "45 Tage",
        "45 days",
    ]
    assert clip_text("kept", "en", keep_days=45).clip == "kept-45-days"


@pytest.mark.parametrize("days", [0, -1, 36_526, None, True, 7.0, "7"])
def test_refuses_impossible_retention_periods(days: object) -> None:
    with pytest.raises(ConfigError, match="cannot be kept") as failure:
        clip_text("kept", "en", keep_days=days)  # type: ignore[arg-type]
    assert failure.value.error_id == "prompt.keep_time"
    assert "number of days" in failure.value.hint


@pytest.mark.parametrize("language", ["pt", "", "EN"])
def test_names_an_unknown_language(language: str) -> None:
    for ask in (
        lambda: clip_text("recorded", language),
        lambda: all_clip_texts(language),
        lambda: time_in_words(7, language),
        lambda: purpose_sentences(["agreement"], language, {}),
    ):
        with expect_error(ConfigError, "prompt.language") as failure:
            ask()
        assert "fr, nl, de, en" in failure.value.hint


@pytest.mark.parametrize("key", [10, -1, "2", True])
def test_refuses_unknown_keys(key: object) -> None:
    with expect_error(ConfigError, "prompt.key"):
        clip_text("language", "en", key=key)  # type: ignore[arg-type]


def test_purposes_have_a_fixed_order() -> None:
    def clips(*codes: str) -> list[str]:
        return [each.clip for each in purpose_sentences(codes, "en", {"own": "It helps us."})]

    assert clips("quality") == ["for-quality"]
    assert clips("legal-duty", "training", "quality", "agreement") == [
        "for-agreement",
        "also-quality",
        "also-training",
        "also-legal-duty",
    ]
    assert clips("training", "training", "legal-duty") == ["for-training", "also-legal-duty"]
    assert clips("own", "agreement")[0] == "for-agreement"


@pytest.mark.parametrize(
    ("part", "standard_one", "own_alone"),
    [
        (RECORDED_FOR, ["recorded-for-quality", "and-training"], ["recorded", "own"]),
        (ASKED_FOR, ["may-we-record-for-quality", "and-training"], ["ask-to-record", "own", "may-we-record"]),
    ],
)
def test_first_purpose_is_part_of_the_main_sentence(
    part: str, standard_one: list[str], own_alone: list[str]
) -> None:
    def clips(*codes: str) -> list[str]:
        sentences = purpose_sentences(codes, "en", {"own": "It helps us."}, part)
        return ["own" if each.clip.startswith("purpose-") else each.clip for each in sentences]

    assert clips("training", "quality") == standard_one
    assert clips("own", "quality", "training") == [*standard_one, "own"]
    assert clips("own") == own_alone


def test_own_purpose_has_its_own_sentence() -> None:
    (one,) = purpose_sentences(["delivery"], "en", {"delivery": "  It helps us\n to plan deliveries "})
    assert one.text == one.spoken == "It helps us to plan deliveries."
    (other,) = purpose_sentences(["delivery"], "en", {"delivery": "It helps us to deliver."})
    assert one.clip != other.clip, "one customer's text must not get another's sound"


@pytest.mark.parametrize(
    ("purposes", "own", "error_id"),
    [
        ([], {}, "prompt.no_purposes"),
        ("agreement", {}, "prompt.no_purposes"),
        (["delivery"], {}, "prompt.purpose_words"),
        (["agreement", "delivery"], {"delivery": "  "}, "prompt.purpose_words"),
        (["delivery"], {"delivery": "long " * 50}, "prompt.purpose_words"),
        (["delivery"], {"delivery": "a\x00b"}, "prompt.purpose_words"),
    ],
)
def test_refuses_unspeakable_purposes(purposes: list[str], own: dict[str, str], error_id: str) -> None:
    with expect_error(ConfigError, error_id) as failure:
        purpose_sentences(purposes, "en", own)
    assert failure.value.hint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('nl = "Dit gesprek wordt opgenomen."\n', ""),
        ('de = "Dieses Gespräch wird aufgezeichnet."', 'de = ""'),
        ('en = "We keep the recording for {time}."', 'en = "We keep the recording for thirty days."'),
        ('en = "This call is being recorded."', 'en = "This {call} is being recorded."'),
        ("days = [30]\n", ""),
        ('notice = ["recorded"', 'notice = ["recordet"'),
        ("[clip.for-training]", "[clip.for-trainign]"),
        ('"huit", "neuf"', '"huit"'),
        ("[clip.kept]", "[clip.kept"),
    ],
)
def test_names_a_broken_catalogue_of_sentences(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    path = tmp_path / "sentences.toml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(str(path))) as failure:
        sentences.load_sentences(path)
    assert failure.value.error_id == "sentences.broken"
    path.write_text(GOOD, encoding="utf-8")
    sentences.load_sentences(path)
