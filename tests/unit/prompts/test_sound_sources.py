"""Every sentence has a shipped sound with its text; a person's recordings are checked."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.errors import ConfigError
from recorder.prompts import dsp, sound_build, sound_sources
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sentences import all_clip_texts, clip_text
from recorder.prompts.sound_sources import SOUNDS, Sources, shipped_clips
from tests.expected_errors import expect_error


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_a_shipped_sound(language: str) -> None:
    listed, texts = shipped_clips()[language], all_clip_texts(language)
    assert {clip: entry.text for clip, entry in listed.items()} == {
        clip: each.text for clip, each in texts.items()
    }
    assert {path.stem for path in (SOUNDS / language).glob("*.flac")} == set(texts)


@pytest.mark.long
@pytest.mark.parametrize("language", LANGUAGES)
def test_shipped_sounds_are_audible_and_trimmed(language: str) -> None:
    for each in all_clip_texts(language).values():
        found = Sources().clip(each)
        assert found.origin == "shipped"
        with soundfile.SoundFile(SOUNDS / language / f"{each.clip}.flac") as file:
            assert (file.samplerate, file.channels, file.subtype) == (dsp.RATE, 1, "PCM_16")
        seconds = len(found.samples) / dsp.RATE
        # Texts are spoken at nine to twenty-two characters a second, and no sentence is cut.
        assert len(each.spoken) / 24 < seconds < len(each.spoken) / 8 + 0.6, each.clip
        # A single word may have a peak that limits its gain.
        near = 3 if each.clip.startswith("digit-") else 1.2
        assert dsp.loudness(found.samples) == pytest.approx(-20, abs=near), each.clip
        assert np.abs(found.samples).max() < 0.8
        before, after = dsp.measure_silence(found.samples)
        assert 0.04 <= before <= 0.13, each.clip
        assert 0.04 <= after <= 0.13, each.clip


def test_shipped_sounds_are_small_and_voices_are_named() -> None:
    assert sum(path.stat().st_size for path in SOUNDS.rglob("*") if path.is_file()) < 24_000_000
    body = tomllib.loads((SOUNDS / "voices.toml").read_text(encoding="utf-8"))
    assert set(body["voice"]) == set(LANGUAGES)
    for voice in body["voice"].values():
        assert set(voice) == {"engine", "name", "licence"}


def test_refuses_changed_and_missing_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sounds"
    shutil.copytree(SOUNDS / "de", folder / "de")
    monkeypatch.setattr(sound_sources, "SOUNDS", folder)
    each = clip_text("agreed", "de")
    assert Sources().clip(each).origin == "shipped"
    victim = folder / "de" / "declined.flac"
    victim.write_bytes(victim.read_bytes()[:-2] + b"\0\1")
    for error_id in ("prompt.changed", "prompt.missing"):
        with expect_error(ConfigError, error_id) as failure:
            Sources().clip(clip_text("declined", "de"))
        assert failure.value.hint
        victim.unlink(missing_ok=True)


def test_refuses_an_unreadable_clip_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_sources, "SOUNDS", tmp_path)
    shipped_clips.cache_clear()
    try:
        for content in (None, "[de", "[de]\nagreed = 3\n"):
            if content is not None:
                (tmp_path / "clips.toml").write_text(content, encoding="utf-8")
            with expect_error(ConfigError, "prompt.changed"):
                shipped_clips()
    finally:
        shipped_clips.cache_clear()


@pytest.mark.parametrize(
    ("error_id", "harm"),
    [
        ("prompt.channels", lambda p, s: soundfile.write(p, np.stack([s, s], axis=1), 16000)),
        ("prompt.not_wav", lambda p, s: p.write_bytes(b"no sound")),
        ("prompt.rate", lambda p, s: soundfile.write(p, s, 44100)),
        ("prompt.form", lambda p, s: soundfile.write(p, s, 16000, subtype="FLOAT")),
        ("prompt.silent", lambda p, s: soundfile.write(p, s * 0, 16000)),
        ("prompt.clipping", lambda p, s: soundfile.write(p, np.clip(s * 9.0, -1e4, 1e4) / 1e4, 16000)),
        ("prompt.length", lambda p, s: soundfile.write(p, s[:2000], 16000)),
        ("prompt.length", lambda p, s: soundfile.write(p, np.tile(s, 5), 16000)),
        ("prompt.unreadable", lambda p, s: p.mkdir()),
    ],
)
def test_refuses_an_unsuitable_recording(
    voice: Path, speech: np.ndarray, error_id: str, harm: object
) -> None:
    path = voice / "en" / "agreed.wav"
    harm(path, speech)  # type: ignore[operator]
    found = Sources(voice)
    with expect_error(ConfigError, error_id) as failure:
        found.clip(clip_text("agreed", "en"))
    assert str(path) in failure.value.message
    assert found.clip(clip_text("recorded", "en")).origin == "recorded"


def test_refuses_a_recording_of_an_older_text(voice: Path) -> None:
    found, each = Sources(voice), clip_text("recorded", "en")
    script = voice / "script.txt"
    script.write_text(f"# a remark\nen/recorded.wav\t{each.spoken}\n\nodd line\n", encoding="utf-8")
    assert found.clip(each).origin == "recorded"
    script.write_text("en/recorded.wav\tThis call is recorded.\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="This call is being recorded") as failure:
        found.clip(each)
    assert failure.value.error_id == "prompt.other_words"
    assert "script.txt" in failure.value.hint
    script.write_bytes(b"\xff\xfe\x00")
    with expect_error(ConfigError, "prompt.unreadable"):
        found.clip(each)


def test_source_of_a_sentence(voice: Path, hum: object) -> None:
    found = Sources(voice, (hum,))  # type: ignore[arg-type]
    assert found.origin(clip_text("recorded", "en")) == "recorded"
    assert found.origin(clip_text("recorded", "nl")) == "shipped"
    assert found.origin(clip_text("kept", "nl", keep_days=45)) == "spoken by hum"
    assert Sources().origin(clip_text("kept", "nl", keep_days=45)) == "missing"


@pytest.mark.long
def test_rebuilds_only_changed_sentences(tmp_path: Path, hum: object) -> None:
    found = (hum,)
    assert sound_build.build(["nl"], found, tmp_path) == len(all_clip_texts("nl"))  # type: ignore[arg-type]
    assert sound_build.build(["nl"], found, tmp_path) == 0  # type: ignore[arg-type]
    path = tmp_path / "nl" / "agreed.flac"
    path.write_bytes(b"changed")
    (tmp_path / "nl" / "of-old.flac").write_bytes(b"no sentence needs this")
    assert sound_build.build(["nl"], found, tmp_path) == 1  # type: ignore[arg-type]
    assert soundfile.info(path).samplerate == dsp.RATE
    assert not (tmp_path / "nl" / "of-old.flac").exists()
    body = tomllib.loads((tmp_path / "clips.toml").read_text(encoding="utf-8"))
    assert {clip: entry["text"] for clip, entry in body["nl"].items()} == {
        clip: each.text for clip, each in all_clip_texts("nl").items()
    }
    assert sound_build.build(["nl"], found, tmp_path, everything=True) == len(all_clip_texts("nl"))  # type: ignore[arg-type]
