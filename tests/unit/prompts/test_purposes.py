"""The standard purposes, operators' own sounds, and the practice conversations."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.errors import ConfigError
from recorder.prompts import purposes
from recorder.prompts.sound_check import check_sound, read_file
from tests.announcements import announcement_in
from tests.expected_errors import expect_error


def test_standard_purposes() -> None:
    standard = purposes.standard()
    assert list(standard) == ["agreement", "quality", "training", "legal-duty"]
    assert {code: purpose.roles for code, purpose in standard.items()} == {
        "agreement": {"customer_admin", "customer", "external_party", "neutral", "support"},
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


GOOD = (Path(purposes.__file__).with_name("purposes.toml")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('roles = ["customer_admin", "auditor"]', 'roles = ["operator"]'),
        ('roles = ["customer_admin", "auditor"]', "roles = []"),
        ("longest_keep_days = 180", "longest_keep_days = 0"),
        ("longest_keep_days = 180", "longest_keep_days = true"),
        ('nl = "Kwaliteit van de dienst"\n', ""),
        ("longest_keep_days = 30\n", "longest_keep_days = 30\nextra = 1\n"),
        ("[quality.label]", "[quality.lable]"),
        ("[quality]", "[quality"),
    ],
)
def test_names_a_broken_purpose(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    path = tmp_path / "purposes.toml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(str(path))) as failure:
        purposes.load_purposes(path)
    assert failure.value.error_id == "purposes.broken"
    path.write_text(GOOD, encoding="utf-8")
    assert purposes.load_purposes(path) == purposes.standard()


def put(
    path: Path, samples: np.ndarray, rate: int = 8000, subtype: str = "PCM_16", form: str = "WAV"
) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, format=form)
    return path


def speech_samples() -> np.ndarray:
    """Speech at 8 kHz."""
    samples: np.ndarray = soundfile.read(announcement_in("en").path, dtype="int16")[0]
    return samples


def test_accepts_sounds_at_8_and_16_khz(tmp_path: Path) -> None:
    samples = speech_samples()
    for rate in (8000, 16000):
        checked = check_sound(put(tmp_path / "own.wav", samples, rate).read_bytes(), "own.wav")
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
        ("prompt.unreadable", lambda p, s: os.mkfifo(p)),
        ("prompt.unreadable", lambda p, s: p.symlink_to("/dev/zero")),
        ("prompt.length", lambda p, s: p.write_bytes(b"RIFF" + bytes(5 << 20))),
        ("prompt.not_wav", lambda p, s: put(p, s, form="RF64")),
        ("prompt.not_wav", lambda p, s: put(p, s, form="AIFF")),
        ("prompt.not_wav", lambda p, s: p.write_text("#EXTM3U\n/etc/passwd\n")),
        ("prompt.length", lambda p, s: put(p, s[:7000])),
        ("prompt.length", lambda p, s: put(p, np.tile(s, 14))),
        ("prompt.length", lambda p, s: put(p, s[:0])),
        ("prompt.silent", lambda p, s: put(p, s * 0)),
        ("prompt.silent", lambda p, s: put(p, s // 200)),
        ("prompt.clipping", lambda p, s: put(p, np.clip(s * 6.0, -32768, 32767).astype(np.int16))),
        ("prompt.clipping", lambda p, s: put(p, np.clip(s * 6.0, -20000, 20000).astype(np.int16))),
        ("prompt.repeats", lambda p, s: put(p, np.tile(s[8000:12000], 8))),
        ("prompt.repeats", lambda p, s: put(p, (6000 * np.sin(np.arange(40000) / 3)).astype(np.int16))),
    ],
)
def test_refuses_unsuitable_sounds_with_a_hint(tmp_path: Path, error_id: str, harm: object) -> None:
    path = tmp_path / "own.wav"
    harm(path, speech_samples())  # type: ignore[operator]
    with expect_error(ConfigError, error_id) as failure:
        check_sound(read_file(path), str(path))
    assert str(path) in failure.value.message
    assert failure.value.hint


def test_practice_speech_has_two_sides() -> None:
    import demo.practice

    folder = Path(demo.practice.__file__).parent / "speech"
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
        assert both.mean() < 0.01  # the speakers alternate
        assert all((np.abs(side) > 300).mean() > 0.15 for side in sides)
