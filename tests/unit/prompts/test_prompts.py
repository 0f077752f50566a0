"""What is played: the shipped announcements, the purposes they name, and an operator's own sound."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder import prompts
from recorder.errors import ConfigError
from recorder.prompts import purposes
from recorder.prompts.check import check_sound

SHIPPED = prompts.shipped()


def read(told: prompts.ShippedAnnouncement) -> np.ndarray:
    samples: np.ndarray = soundfile.read(told.path, dtype="int16")[0]
    return samples


def test_there_is_one_for_the_default_purpose_in_french_and_in_english() -> None:
    assert {(told.language, told.purposes, told.keep_days) for told in SHIPPED} == {
        ("fr", ("agreement",), 30),
        ("en", ("agreement",), 30),
    }


@pytest.mark.parametrize("told", SHIPPED, ids=lambda told: told.language)
def test_the_caller_hears_that_it_is_recorded_what_for_and_how_long(
    told: prompts.ShippedAnnouncement,
) -> None:
    words = {
        "en": ("recorded", "what was agreed", "together later", "thirty days"),
        "fr": ("enregistré", "ce qui a été convenu", "ensemble plus tard", "trente jours"),
    }[told.language]
    assert all(word in told.text for word in words)
    assert not re.search(r"proof|evidence|preuve|against|contre", told.text)


@pytest.mark.parametrize("told", SHIPPED, ids=lambda told: told.language)
def test_a_shipped_sound_is_fit_for_a_phone(told: prompts.ShippedAnnouncement) -> None:
    checked = check_sound(told.path)
    samples = read(told)
    assert (checked.sha256, checked.sample_rate) == (told.sha256, 8000)
    assert 8000 <= checked.duration_ms <= 11_000
    assert 8000 < np.abs(samples).max() < 25_000  # loud enough, and far from clipping
    heard = np.flatnonzero(np.abs(samples) > 300)
    assert heard[0] < 8 * 250  # it begins and ends within a quarter of a second of its file
    assert len(samples) - heard[-1] < 8 * 400


def test_a_changed_or_missing_sound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sounds"
    for told in SHIPPED:
        (folder / told.language).mkdir(parents=True)
        (folder / told.language / told.path.name).write_bytes(told.path.read_bytes())
    (folder / "shipped.toml").write_bytes((prompts.SOUNDS / "shipped.toml").read_bytes())
    monkeypatch.setattr(prompts, "SOUNDS", folder)
    prompts.shipped.cache_clear()
    assert [told.sha256 for told in prompts.shipped()] == [told.sha256 for told in SHIPPED]
    victim = folder / "fr" / SHIPPED[1].path.name
    victim.write_bytes(victim.read_bytes()[:-2] + b"\0\1")
    for error_id in ("prompt.changed", "prompt.missing"):
        prompts.shipped.cache_clear()
        with pytest.raises(ConfigError) as caught:
            prompts.shipped()
        assert caught.value.error_id == error_id
        victim.unlink(missing_ok=True)
    prompts.shipped.cache_clear()


def test_the_standard_purposes() -> None:
    standard = purposes.standard()
    assert list(standard) == ["agreement", "quality", "training", "legal-duty"]
    assert {code: purpose.roles for code, purpose in standard.items()} == {
        "agreement": {"customer_admin", "customer"},
        "quality": {"customer_admin"},
        "training": {"customer_admin"},
        "legal-duty": {"customer_admin", "auditor"},
    }
    for code, purpose in standard.items():
        assert purpose.code == code
        assert purpose.longest_keep_days >= 30
        words = [
            text(language) for language in purposes.LANGUAGES for text in (purpose.label, purpose.explanation)
        ]
        assert len(set(words)) == len(words)
        assert not re.search(r"proof|evidence|preuve|bewijs|beweis", " ".join(words), re.IGNORECASE)
        assert purpose.label("pt") == purpose.labels["en"]
    told = {code for one in SHIPPED for code in one.purposes}
    assert told <= set(standard)
    assert all(one.keep_days <= standard[code].longest_keep_days for one in SHIPPED for code in one.purposes)


GOOD = (Path(purposes.__file__).with_name("purposes.toml")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('roles = ["customer_admin", "auditor"]', 'roles = ["support"]'),
        ('roles = ["customer_admin", "auditor"]', "roles = []"),
        ("longest_keep_days = 180", "longest_keep_days = 0"),
        ("longest_keep_days = 180", "longest_keep_days = true"),
        ('nl = "De dienstverlening verbeteren"\n', ""),
        ("longest_keep_days = 30\n", "longest_keep_days = 30\nextra = 1\n"),
        ("[quality.label]", "[quality.lable]"),
        ("[quality]", "[quality"),
    ],
)
def test_a_broken_purpose_is_named(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    path = tmp_path / "purposes.toml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(str(path))) as caught:
        purposes.load(path)
    assert caught.value.error_id == "purposes.broken"
    path.write_text(GOOD, encoding="utf-8")
    assert purposes.load(path) == purposes.standard()


def put(
    path: Path, samples: np.ndarray, rate: int = 8000, subtype: str = "PCM_16", form: str = "WAV"
) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, format=form)
    return path


def test_an_own_sound_at_8_or_16_khz_is_taken(tmp_path: Path) -> None:
    samples = read(SHIPPED[0])
    for rate in (8000, 16000):
        checked = check_sound(put(tmp_path / "own.wav", samples, rate))
        assert checked.duration_ms == round(len(samples) * 1000 / rate)


@pytest.mark.parametrize(
    ("error_id", "harm"),
    [
        ("prompt.rate", lambda p, s: put(p, s, 44100)),
        ("prompt.channels", lambda p, s: put(p, np.stack([s, s], axis=1))),
        ("prompt.form", lambda p, s: put(p, s, subtype="ULAW")),
        ("prompt.form", lambda p, s: put(p, s, subtype="FLOAT")),
        ("prompt.not_wav", lambda p, s: put(p, s, form="FLAC")),
        ("prompt.not_wav", lambda p, s: p.write_bytes(b"no sound at all")),
        ("prompt.not_wav", lambda p, s: p.write_bytes(b"")),
        ("prompt.unreadable", lambda p, s: None),
        ("prompt.unreadable", lambda p, s: p.mkdir()),
        ("prompt.length", lambda p, s: put(p, s[:7000])),
        ("prompt.length", lambda p, s: put(p, np.tile(s, 7))),
        ("prompt.length", lambda p, s: put(p, s[:0])),
        ("prompt.silent", lambda p, s: put(p, s * 0)),
        ("prompt.silent", lambda p, s: put(p, s // 200)),
        ("prompt.clipping", lambda p, s: put(p, np.clip(s * 6.0, -32768, 32767).astype(np.int16))),
        ("prompt.clipping", lambda p, s: put(p, np.clip(s * 6.0, -20000, 20000).astype(np.int16))),
        ("prompt.repeats", lambda p, s: put(p, np.tile(s[8000:12000], 8))),
        ("prompt.repeats", lambda p, s: put(p, (6000 * np.sin(np.arange(40000) / 3)).astype(np.int16))),
    ],
)
def test_a_sound_that_does_not_serve_says_why_and_what_to_do(
    tmp_path: Path, error_id: str, harm: object
) -> None:
    path = tmp_path / "own.wav"
    harm(path, read(SHIPPED[0]))  # type: ignore[operator]
    with pytest.raises(ConfigError) as caught:
        check_sound(path)
    assert caught.value.error_id == error_id
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_the_practice_calls_are_two_sides_of_one_talk() -> None:
    import recorder.practice

    folder = Path(recorder.practice.__file__).parent / "speech"
    for language in ("fr", "en"):
        sides = []
        for side in ("caller", "callee"):
            with soundfile.SoundFile(folder / language / f"{side}.wav") as file:
                assert (file.samplerate, file.channels, file.subtype) == (8000, 1, "PCM_16")
                sides.append(file.read(dtype="int16").astype(float))
        caller, callee = sides
        assert len(caller) == len(callee)
        assert 20 < len(caller) / 8000 < 26
        both = (np.abs(caller) > 300) & (np.abs(callee) > 300)
        assert both.mean() < 0.01  # they take turns
        assert all((np.abs(side) > 300).mean() > 0.15 for side in sides)
