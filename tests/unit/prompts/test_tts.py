"""Speech engines: their input, their output, and the error without one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from recorder.config import PromptSettings
from recorder.errors import ConfigError
from recorder.prompts import dsp, sound_sources
from recorder.prompts.sentences import clip_text
from recorder.prompts.tts import EspeakNg, Kokoro, Pico, find_engine, find_engines
from tests.expected_errors import expect_error


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
def test_espeak_ng_speaks_every_language(language: str) -> None:
    (engine,) = find_engines("espeak-ng", None)
    each = clip_text("kept", language, keep_days=45)
    samples = engine.speak(each.spoken, language)
    assert 1.0 < len(samples) / dsp.RATE < 6.0
    assert dsp.loudness(dsp.normalise(samples)) == pytest.approx(-20, abs=1)
    assert np.array_equal(samples, engine.speak(each.spoken, language))


@pytest.mark.skipif(shutil.which("pico2wave") is None, reason="pico2wave is not installed")
def test_pico_ignores_commands_in_a_text() -> None:
    (engine,) = find_engines("pico", None)
    assert [each for each in ("fr", "nl", "de", "en") if engine.speaks(each)] == ["de"]
    each = clip_text("kept", "de", keep_days=45)
    samples = engine.speak(each.spoken, "de")
    assert 1.0 < len(samples) / dsp.RATE < 6.0
    assert dsp.loudness(dsp.normalise(samples)) == pytest.approx(-20, abs=1)
    plain = engine.speak("Guten Tag. speed level='500'", "de")
    assert len(engine.speak("<speed level='500'>Guten Tag.", "de")) > 0.8 * len(plain)


def test_pico_speaks_german_and_kokoro_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "exit 1", "pico2wave")
    program(tmp_path, "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Kokoro, "missing", lambda _folder: "")
    monkeypatch.setattr(Kokoro, "speaks", lambda _self, language: language in ("fr", "nl", "de", "en"))
    found = find_engines("auto", tmp_path)
    engines = {
        each: find_engine(found, clip_text("kept", each, keep_days=45)).name for each in ("fr", "nl", "de")
    }
    assert engines == {"fr": "kokoro", "nl": "kokoro", "de": "pico"}


def test_text_is_never_an_option_of_pico(tmp_path: Path) -> None:
    spy = program(tmp_path, f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/input; exit 1', "pico2wave")
    with pytest.raises(ConfigError):
        Pico(spy).speak("--help; rm -rf $HOME", "de")
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8").split()
    assert not {"--help;", "--help", "rm"} & set(arguments)
    assert ">--help; rm -rf $HOME<" in (tmp_path / "input").read_text(encoding="utf-8")


def program(folder: Path, body: str, name: str = "espeak-ng") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo no such voice >&2; exit 1", "no such voice"),
        ("exit 0", "not"),
        ("printf RIFFxxxxWAVEdata", "not"),
        ("sleep 5", "timed out"),
    ],
)
def test_failing_program_has_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    monkeypatch.setattr(EspeakNg, "PATIENCE_S", 0.5)
    with pytest.raises(ConfigError, match=why) as failure:
        EspeakNg(program(tmp_path, body)).speak("Hello.", "en")
    assert failure.value.error_id == "tts.failed"
    assert "[prompts] speech" in failure.value.hint


def test_text_is_never_an_option_of_espeak(tmp_path: Path) -> None:
    """A customer's own sentence is form input."""
    spy = program(tmp_path, f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/input; exit 1')
    with pytest.raises(ConfigError):
        EspeakNg(spy).speak("--version; rm -rf $HOME", "en")
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8").split()
    assert not {"--help;", "--help", "rm"} & set(arguments)
    assert (tmp_path / "input").read_text(encoding="utf-8") == "--version; rm -rf $HOME"


class ToneModel:
    """Replaces the package's model: a tone for the given phonemes."""

    def __init__(self, model: str, voices: str) -> None:
        assert np.load(voices) is not None

    def create(
        self, phonemes: str, voice: np.ndarray, speed: float, is_phonemes: bool
    ) -> tuple[np.ndarray, int]:
        assert is_phonemes
        assert voice.shape == (510, 1, 256)
        if "broken" in phonemes:
            raise RuntimeError("no such token")
        at = np.arange(24000 if phonemes else 0)
        return (0.2 * np.sin(at / 20)).astype(np.float32), 24000


@pytest.fixture
def kokoro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package, phonemizer = ModuleType("kokoro_onnx"), ModuleType("phonemizer")
    package.Kokoro = ToneModel  # type: ignore[attr-defined]
    package.__spec__ = SimpleNamespace(name="kokoro_onnx")  # type: ignore[assignment]
    phonemizer.phonemize = lambda text, language, **more: text  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kokoro_onnx", package)
    monkeypatch.setitem(sys.modules, "phonemizer", phonemizer)
    folder = tmp_path / "kokoro"
    folder.mkdir()
    (folder / "kokoro.onnx").write_bytes(b"model")
    np.zeros((510, 256), dtype=np.float32).tofile(folder / "ff_siwis.bin")
    return folder


def test_kokoro_speaks_languages_with_installed_voices(kokoro: Path) -> None:
    (engine,) = find_engines("kokoro", kokoro)
    assert [language for language in ("fr", "nl", "de", "en", "pt") if engine.speaks(language)] == ["fr"]
    samples = engine.speak("Cet appel est enregistré.", "fr")
    assert len(samples) / dsp.RATE == pytest.approx(1.1, abs=0.1)
    german = Kokoro.VOICES["de"]
    assert engine._phonemes("ʏnt dɾaɪ vˌɪɾt viːɾ", german) == "ynt dɾaɪ vˌɪɐt viːɐ"  # type: ignore[attr-defined]
    for text in ("broken", ""):
        with expect_error(ConfigError, "tts.failed"):
            engine.speak(text, "fr")


@pytest.mark.parametrize(
    ("phonemes", "adapted"),
    [
        ("də ɔpnˈaːmə ʋɔrt bəʋˈaːrt.", "də ˈopnˌaːmə ʋort bəʋˈaːrt."),
        ("də ɔpnˈaːmə ʋɔr trˈi jˈaːr", "də ˈopnˌaːmə ʋort drˈi jˈaːr"),
        ("də ɔpnˈaːmə ʋɔr tˈin jˈaːr", "də ˈopnˌaːmə ʋort tˈin jˈaːr"),
        ("ʋɔrt ˈeːn dˈɑx, ʋɔr tʋˈeː jˈaːr", "ʋort ˈeɪn dˈɑx, ʋort tʋˈeɪ jˈaːr"),
        ("oːk vrˈaːx tə ʋˈɛt ɔns", "oːk frˈaːxt də ʋˈɛt ons"),
        ("vɔːr nˈeːdərlˌɑnts, drˈɵk ɔp vˈir.", "foːr nˈeːdərlˌɑnts, drˈʊk op fˈir."),
        ("kˌɵnən ʋə lˈivər bəlˈœystərən", "kˌʊnən ʋə lˈivər bəlˈøystərən"),
    ],
)
def test_kokoro_adapts_dutch_phonemes(kokoro: Path, phonemes: str, adapted: str) -> None:
    """Mistakes of espeak-ng are corrected; a v within a word stays a v."""
    (engine,) = find_engines("kokoro", kokoro)
    assert engine._phonemes(phonemes, Kokoro.VOICES["nl"]) == adapted  # type: ignore[attr-defined]


def test_mixed_voice_is_the_mean_of_its_parts(kokoro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (engine,) = find_engines("kokoro", kokoro)
    assert not engine.speaks("nl")
    np.ones((510, 256), dtype=np.float32).tofile(kokoro / "if_sara.bin")
    assert engine.speaks("nl")
    voices: list[np.ndarray] = []
    spoken_by = ToneModel.create

    def create(
        self: ToneModel, phonemes: str, voice: np.ndarray, speed: float, is_phonemes: bool
    ) -> tuple[np.ndarray, int]:
        voices.append(voice)
        return spoken_by(self, phonemes, voice, speed, is_phonemes)

    monkeypatch.setattr(ToneModel, "create", create)
    engine.speak("Dit gesprek wordt opgenomen.", "nl")
    assert voices[0].dtype == np.float32
    assert np.all(voices[0] == 0.5)


def test_prefers_the_better_voice(kokoro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = find_engines("auto", kokoro)
    assert [engine.name for engine in found] == ["kokoro", "espeak-ng"]
    assert find_engine(found, clip_text("recorded", "fr")).name == "kokoro"
    assert find_engine(found, clip_text("recorded", "nl")).name == "espeak-ng"
    assert [engine.name for engine in find_engines("espeak-ng", kokoro)] == ["espeak-ng"]
    assert find_engines("none", kokoro) == ()


def test_reports_a_chosen_engine_that_is_missing(
    kokoro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (kokoro / "ff_siwis.bin").unlink()
    for choice, folder, words in (
        ("espeak-ng", None, "not installed"),
        ("kokoro", kokoro, "no voice"),
        ("kokoro", tmp_path, "kokoro.onnx is not there"),
        ("kokoro", None, "no folder is set"),
    ):
        with pytest.raises(ConfigError, match=words) as failure:
            find_engines(choice, folder)  # type: ignore[arg-type]
        assert failure.value.error_id == "tts.missing"
        assert failure.value.hint
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    assert find_engines("auto", kokoro) == ()
    with expect_error(ConfigError, "tts.none") as failure:
        find_engine((), clip_text("kept", "nl", keep_days=45))
    assert "nl/kept-45-days.wav" in failure.value.hint


def test_settings_choose_the_engine(tmp_path: Path) -> None:
    found = sound_sources.open_sources(PromptSettings(speech="none", recorded=tmp_path))
    assert found == sound_sources.Sources(tmp_path, ())
    with expect_error(ConfigError, "prompt.folder"):
        sound_sources.open_sources(PromptSettings(speech="none", recorded=tmp_path / "away"))


def test_shipped_sentences_need_no_engine() -> None:
    class SilentEngine:
        name = "never"

        def speaks(self, language: str) -> bool:
            raise AssertionError(language)

        def speak(self, text: str, language: str) -> dsp.Samples:
            raise AssertionError(text)

    found = sound_sources.Sources(engines=(SilentEngine(),))
    assert found.clip(clip_text("recorded", "en")).origin == "shipped"
