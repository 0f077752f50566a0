"""Finds the sound of a sentence: a person's recording, the shipped sound, or a speech engine, in that order.

A person's recordings are in the operator's folder, ``<language>/<clip>.wav``; each is checked when it is
used. Shipped sounds are FLAC, 16 kHz, with their text and hash in ``sounds/clips.toml``.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from recorder.config import PromptSettings
from recorder.domain.sentences import SpokenSentence
from recorder.errors import ConfigError
from recorder.prompts.dsp import RATE, Samples, normalise, resample, trim_silence
from recorder.prompts.sentences import ClipText
from recorder.prompts.sound_check import check_clip, read_file, read_samples
from recorder.prompts.sound_memory import open_sound
from recorder.prompts.tts import Engine, find_engine, find_engines

SOUNDS = Path(__file__).parent / "sounds"
DATA = "clips.toml"

SCRIPT = "script.txt"
"""In a folder of recordings: the text of each file, as ``accord prompt script`` prints it."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence as sound: samples at 16 kHz, and their origin, for a person: ``recorded``, ``shipped``,
    ``spoken by …``."""

    samples: Samples
    origin: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Where clips come from. ``recorded`` is the folder of a person's recordings. ``engines`` speak what is
    neither recorded nor shipped, the better engine first. ``prompts`` are those that were composed of these
    clips before (:meth:`cached`)."""

    recorded: Path | None = None
    engines: tuple[Engine, ...] = ()
    prompts: dict[Any, Any] | None = field(default=None, compare=False, repr=False)

    def cached(self) -> Sources:
        """The same sources, where many equal prompts are needed: each is composed once, and recordings are
        those of that moment."""
        return replace(self, prompts={})

    def origin(self, text: ClipText) -> str:
        """The source of a sentence's sound, without making it; ``missing`` if there is none."""
        if self.recording(text) is not None:
            return "recorded"
        if _find_shipped(text) is not None:
            return "shipped"
        speaker = next((engine for engine in self.engines if engine.speaks(text.language)), None)
        return "missing" if speaker is None else f"spoken by {speaker.name}"

    def recording(self, text: ClipText) -> Path | None:
        """A person's recording of a sentence, if there is one."""
        if self.recorded is None:
            return None
        path = self.recorded / text.language / f"{text.clip}.wav"
        return path if path.exists() else None

    def check_words(self, path: Path, text: ClipText) -> None:
        """Raises :class:`ConfigError` (``prompt.other_words``) if, by the folder's script, the recording has
        other words than the sentence has now, as after an upgrade."""
        read = {} if self.recorded is None else read_script(self.recorded)
        words = read.get(f"{text.language}/{text.clip}.wav")
        if words is not None and words != text.spoken:
            raise ConfigError(
                "prompt.other_words",
                f"{path} says {words!r}, but the sentence is now {text.spoken!r}",
                f"record it again and put its new line into {SCRIPT}: accord prompt script",
            )

    def clip(self, text: ClipText) -> Clip:
        """A sentence's sound, trimmed and at the common level.

        Raises :class:`ConfigError`: ``prompt.*`` (an unsuitable recording or other words; a shipped file was
        changed), ``tts.*`` (nothing can speak it, or it failed).
        """
        path = self.recording(text)
        if path is not None:
            self.check_words(path, text)
            return Clip(_load_recording(path), "recorded")
        shipped = _find_shipped(text)
        if shipped is not None:
            return Clip(
                _load_shipped(SOUNDS / text.language / f"{text.clip}.flac", shipped.sha256), "shipped"
            )
        engine = find_engine(self.engines, text)
        samples = normalise(engine.speak(text.spoken, text.language))
        return Clip(samples, f"spoken by {engine.name}")


def read_script(folder: Path) -> Mapping[str, str]:
    """The text of each file in a folder of recordings; empty if it has no script. Raises
    :class:`ConfigError` (``prompt.unreadable``)."""
    path = folder / SCRIPT
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "prompt.unreadable", f"{path} cannot be read: {error}", "create it again: accord prompt script"
        ) from error
    rows = (line.partition("\t") for line in lines if not line.startswith("#"))
    return {name.strip(): words.strip() for name, tab, words in rows if tab}


def open_sources(settings: PromptSettings) -> Sources:
    """The sources that the settings name. Raises :class:`ConfigError`: ``prompt.folder``,
    ``tts.missing``."""
    folder = settings.recorded
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            "prompt.folder",
            f"{folder} is not a folder",
            "set [prompts] recorded to the folder of your recordings, <language>/<clip>.wav",
        )
    return Sources(folder, find_engines(settings.speech, settings.kokoro))


def _load_recording(path: Path) -> Samples:
    content = read_file(path)
    check_clip(content, str(path))
    return normalise(trim_silence(resample(*read_samples(content, str(path)), RATE)))


@cache
def shipped_clips() -> Mapping[str, Mapping[str, SpokenSentence]]:
    """The shipped sentences, by language and clip. Raises :class:`ConfigError` (``prompt.changed``)."""
    return read_clip_list(SOUNDS)


def read_clip_list(folder: Path) -> Mapping[str, Mapping[str, SpokenSentence]]:
    """Read the list of a folder of sounds. Raises :class:`ConfigError` (``prompt.changed``)."""
    path = folder / DATA
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            language: {
                clip: SpokenSentence(entry["text"], entry["sha256"]) for clip, entry in entries.items()
            }
            for language, entries in body.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError("prompt.changed", f"{path} was changed: {error}", "install Accord again") from error


def _find_shipped(text: ClipText) -> SpokenSentence | None:
    """The shipped sentence, if it has exactly this text; ``None`` for a customer's own sentence."""
    found = shipped_clips().get(text.language, {}).get(text.clip)
    return found if found is not None and found.text == text.text else None


@cache
def _load_shipped(path: Path, sha256: str) -> Samples:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            "prompt.missing", f"the shipped sound {path} is missing", "install Accord again"
        ) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigError(
            "prompt.changed",
            f"the shipped sound {path} was changed",
            "install Accord again; put sounds of your own into the folder that [prompts] recorded names",
        )
    with open_sound(content) as sound:
        samples = sound.read(dtype="float32")
    samples.flags.writeable = False
    return normalise(samples)
