"""Speech engines, for text that has no recorded sound, used when an announcement is saved.

No engine runs during a call, and nothing that Accord ships needs one. An engine is a program or a package
that is installed beside it; the setting ``[prompts] speech`` names it.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import soundfile

from recorder import environment
from recorder.errors import ConfigError
from recorder.prompts.dsp import RATE, Samples, resample, trim_silence
from recorder.prompts.sentences import ClipText

Choice = Literal["auto", "kokoro", "pico", "espeak-ng", "none"]

_INSTALL = "install espeak-ng (apt install espeak-ng), or record it: accord prompt script"


class Engine(Protocol):
    """Speaks a text. ``name`` is the engine and voice, for a person."""

    name: str

    def speaks(self, language: str) -> bool:
        """Whether it has a voice for a language (``fr``)."""
        ...

    def speak(self, text: str, language: str) -> Samples:
        """The text as samples at :data:`~recorder.prompts.dsp.RATE`, trimmed. Raises
        :class:`ConfigError` (``tts.failed``)."""
        ...


def speech_error(engine: str, text: str, why: object) -> ConfigError:
    return ConfigError(
        "tts.failed",
        f"{engine} did not speak {text[:60]!r}: {why}",
        "choose another engine ([prompts] speech), or record it: accord prompt script",
    )


class EspeakNg:
    """espeak-ng, a program: every language, a plain voice."""

    SPEED = 150
    """Words per minute."""
    PATIENCE_S = 30

    def __init__(self, program: str) -> None:
        self.name = "espeak-ng"
        self._program = program

    def speaks(self, language: str) -> bool:
        return language in ("fr", "nl", "de", "en")

    def speak(self, text: str, language: str) -> Samples:
        voice = {"en": "en-gb"}.get(language, language)
        arguments = [self._program, "-v", voice, "-s", str(self.SPEED), "--stdin", "--stdout"]
        try:
            process = subprocess.run(
                arguments, input=text.encode(), capture_output=True, timeout=self.PATIENCE_S, check=True,
                env=environment.for_program(os.environ),
            )  # fmt: skip
            samples, rate = soundfile.read(io.BytesIO(process.stdout), dtype="float32")
        except subprocess.CalledProcessError as error:
            raise speech_error(
                self.name, text, error.stderr.decode(errors="replace").strip() or error
            ) from error
        except (OSError, subprocess.SubprocessError, soundfile.SoundFileError) as error:
            raise speech_error(self.name, text, error) from error
        return _check_audible(self.name, text, samples, rate)


class Pico:
    """SVOX Pico, the program ``pico2wave``: a German voice of its own, clear and a little mechanical.

    For its other languages there is a better engine, or none.
    """

    VOICES = MappingProxyType({"de": "de-DE"})
    SPEED = 122
    """Percent of its default speed: as fast as the voices of the other languages."""
    PATIENCE_S = 30

    def __init__(self, program: str) -> None:
        self.name = "pico"
        self._program = program

    def speaks(self, language: str) -> bool:
        return language in self.VOICES

    def speak(self, text: str, language: str) -> Samples:
        # Text between < and > is a command to it, and not spoken.
        plain = f'<speed level="{self.SPEED}">{re.sub("[<>]", " ", text)}</speed>'
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "said.wav"
                arguments = [self._program, "-l", self.VOICES[language], "-w", str(path)]
                subprocess.run(
                    arguments, input=plain.encode(), capture_output=True, timeout=self.PATIENCE_S, check=True,
                    env=environment.for_program(os.environ),
                )  # fmt: skip
                samples, rate = soundfile.read(path, dtype="float32")
        except subprocess.CalledProcessError as error:
            raise speech_error(
                self.name, text, error.stderr.decode(errors="replace").strip() or error
            ) from error
        except (OSError, subprocess.SubprocessError, soundfile.SoundFileError) as error:
            raise speech_error(self.name, text, error) from error
        return _check_audible(self.name, text, samples, rate)


@dataclass(frozen=True, slots=True)
class KokoroVoice:
    """A Kokoro voice for a language: espeak-ng's name of the language for its phonemes, the voice's names
    (several are mixed in equal parts), replacements, and speed."""

    phonemes: str
    names: tuple[str, ...]
    instead: tuple[tuple[str, str], ...] = ()
    """Each a pattern and its replacement, in this order: words that espeak-ng gets wrong, then phonemes that
    the voice never learnt."""
    speed: float = 1.0
    alone: float = 1.0
    """Factor on the speed of an isolated word, such as a digit of a code, which some voices otherwise draw
    out and make harder to understand (``sounds/voices.toml``)."""


DUTCH = (
    # stress on the first syllable
    (r"ɔpnˈ([ae])ː", r"ˈɔpnˌ\1ː"),
    (r"ɔpɣən", "ɔpxən"),
    (r"ɑfɣəs", "ɑfxəs"),
    (r"ˈɔpniw", "ɔpnˈiw"),
    (r"sˈɵvəs", "sˈɵːrvɪs"),
    (r"ɔnzˌə", "ˈɔnzə"),
    (r"vɔːr\b", "voːr"),
    (r"vɪːrtˈin", "vˈeːrtin"),
    (r"hˈɔndɛrtˌɑxtəx", "hˌɔndərtˈɑxtəx"),
    (r"vərnˈitɪxt", "vərnˈitəxt"),
    # "wordt", "vraagt" before a word that begins with d or t: neither is swallowed
    (r"ʋɔr (?=tʋ|tˈi)", "ʋɔrt "),
    (r"ʋɔrt? t(?=aːrvˈoːr)", "ʋɔrt d"),
    (r"ʋɔr t(?=rˈi\b)", "ʋɔrt d"),
    (r"ʋɔr t(?=ˈɛrtəx)", "ʋɔrt d"),
    (r"vrˈaːx tə ʋ", "vrˈaːxt də ʋ"),
    # a v that begins a word is nearly an f; numbers that were heard as others; the o is closer and the ui
    # rounder than the voices' own
    (r"(^|[ ˈˌ])v", r"\1f"),
    ("fˈɛɪf", "fˈæɪf"),
    (r"ˈeː(?=n? [dj])", "ˈeɪ"),
    ("œy", "øy"),
    ("[ɵʏ]", "ʊ"),
    ("ɔ", "o"),
)
"""Dutch as it is spoken best by voices that learnt French and Italian: with all of this a speech recogniser
transcribed more of the shipped sentences correctly (``sounds/voices.toml``)."""


class Kokoro:
    """Kokoro-82M through the package ``kokoro-onnx``: natural voices, offline.

    ``folder`` has ``kokoro.onnx`` and a voice's ``<name>.bin`` for each language. The voices learnt French
    and English; Dutch is read by a mixture of a French and an Italian one, German by an Italian one: those
    that were understood best, each with an accent.
    """

    VOICES = MappingProxyType(
        {
            "fr": KokoroVoice("fr-fr", ("ff_siwis",), alone=1.15),
            "en": KokoroVoice("en-gb", ("bf_emma",)),
            "nl": KokoroVoice("nl", ("ff_siwis", "if_sara"), DUTCH, 0.9, 1.15),
            "de": KokoroVoice(
                "de",
                ("im_nicola",),
                # an r that no vowel follows is one itself
                (("ʏ", "y"), ("œ", "ø"), ("ɑ", "a"), ("ɜ", "ɐ"), ("ɾ(?![ˈˌ]?[aɐeɛəiɪoɔuʊyø])", "ɐ")),
                1.05,
            ),
        }
    )
    MODEL = "kokoro.onnx"

    def __init__(self, folder: Path) -> None:
        self.name = "kokoro"
        self._folder = folder
        self._model: Any = None

    @classmethod
    def missing(cls, folder: Path | None) -> str:
        """The reason why it cannot speak; empty if it can."""
        if importlib.util.find_spec("kokoro_onnx") is None:
            return "the package kokoro-onnx is not installed"
        if folder is None:
            return "no folder is set ([prompts] kokoro)"
        if not (folder / cls.MODEL).is_file():
            return f"{folder / cls.MODEL} is not there"
        if not any(cls._there(folder, voice) for voice in cls.VOICES.values()):
            return f"there is no voice in {folder}"
        return ""

    def speaks(self, language: str) -> bool:
        return language in self.VOICES and self._there(self._folder, self.VOICES[language])

    def speak(self, text: str, language: str) -> Samples:
        voice = self.VOICES[language]
        try:
            style = self._style(voice)
            model = self._loaded()
            phonemes = self._phonemes(text, voice)
            speed = voice.speed if " " in text else voice.speed * voice.alone
            samples, rate = model.create(phonemes, voice=style, speed=speed, is_phonemes=True)
        except Exception as error:  # anything that a model, its runtime or its phonemes raise
            raise speech_error(self.name, text, error) from error
        return _check_audible(self.name, text, samples, rate)

    @staticmethod
    def _there(folder: Path, voice: KokoroVoice) -> bool:
        return all((folder / f"{name}.bin").is_file() for name in voice.names)

    def _style(self, voice: KokoroVoice) -> Samples:
        # Each a style of 256 numbers for every number of phonemes.
        styles = [np.fromfile(self._folder / f"{name}.bin", dtype=np.float32) for name in voice.names]
        return np.mean(styles, axis=0, dtype=np.float32).reshape(-1, 1, 256)

    def _phonemes(self, text: str, voice: KokoroVoice) -> str:
        # A dependency of the package, which configures its espeak-ng.
        phonemizer = importlib.import_module("phonemizer")
        found: str = phonemizer.phonemize(
            text,
            voice.phonemes,
            preserve_punctuation=True,
            with_stress=True,
            language_switch="remove-flags",
        )
        for pattern, known in voice.instead:
            found = re.sub(pattern, known, found)
        return found.strip()

    def _loaded(self) -> Any:
        if self._model is None:
            package = importlib.import_module("kokoro_onnx")
            with tempfile.TemporaryDirectory() as folder:
                # The package expects a file of voices; ours are passed one by one.
                voices = Path(folder) / "voices.npz"
                np.savez(voices, none=np.zeros(0, dtype=np.float32))
                self._model = package.Kokoro(os.fspath(self._folder / self.MODEL), os.fspath(voices))
        return self._model


def _check_audible(engine: str, text: str, samples: Samples, rate: int) -> Samples:
    if samples.ndim != 1 or not len(samples) or float(np.abs(samples).max()) < 0.001:
        raise speech_error(engine, text, "nothing can be heard")
    return trim_silence(resample(samples, rate, RATE))


def find_engines(choice: Choice, kokoro: Path | None) -> tuple[Engine, ...]:
    """The installed engines of a choice, the better first.

    Raises :class:`ConfigError` (``tts.missing``) if one was chosen by name and is not installed.
    """
    found: list[Engine] = []
    pico, espeak, absent = shutil.which("pico2wave"), shutil.which("espeak-ng"), Kokoro.missing(kokoro)
    if choice in ("auto", "pico") and pico:
        found.append(Pico(pico))
    if choice in ("auto", "kokoro") and not absent:
        assert kokoro is not None
        found.append(Kokoro(kokoro))
    if choice in ("auto", "espeak-ng") and espeak:
        found.append(EspeakNg(espeak))
    if choice == "kokoro" and not found:
        raise ConfigError("tts.missing", f"kokoro cannot speak: {absent}", "see docs/announcements.md")
    if choice == "pico" and not found:
        raise ConfigError(
            "tts.missing", "the program pico2wave is not installed", "see docs/announcements.md"
        )
    if choice == "espeak-ng" and not found:
        raise ConfigError("tts.missing", "the program espeak-ng is not installed", _INSTALL)
    return tuple(found)


def find_engine(found: tuple[Engine, ...], text: ClipText) -> Engine:
    """The first engine that has a voice for a language. Raises :class:`ConfigError` (``tts.none``)."""
    for engine in found:
        if engine.speaks(text.language):
            return engine
    raise ConfigError(
        "tts.none",
        f"no installed engine can speak {text.text[:60]!r} in {text.language!r}, and it is not recorded",
        f"install espeak-ng (apt install espeak-ng), or record it as {text.language}/{text.clip}.wav",
    )
