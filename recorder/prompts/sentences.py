"""The sentences that people hear, as data (``sentences.toml``): the text, and the form that an engine reads.

Each sentence is one clip of sound. Its text is word for word what is spoken, because it is sealed with the
recording; if a speech engine needs another spelling ("press one"), that is listed beside it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from recorder.errors import ConfigError
from recorder.prompts.purposes import LANGUAGES, standard

LONGEST_KEEP_DAYS = 36_525
"""A hundred years: a longer retention period is a typing mistake."""

Wording = Literal["short", "long"]

SHORT: Final = "short"
LONG: Final = "long"
WORDINGS: tuple[Wording, ...] = (SHORT, LONG)
"""The length of the wording: the minimum, or more. Both contain what a country requires (``docs/law.md``)."""

PURPOSES: Final = "{purposes}"
RECORDED_FOR: Final = "{recorded-for}"
ASKED_FOR: Final = "{may-we-record-for}"
"""Placeholders for the sentences of an announcement's purposes: separate; within the sentence that says that
the call is recorded; within the one that asks whether it may be."""

WHO_IS_THERE: Final = "{room}"
"""Placeholder for the sentences that say who is in a room."""

LONGEST_OWN = 200
"""Characters of a customer's own sentence: about fifteen seconds."""


@dataclass(frozen=True, slots=True)
class ClipText:
    """The text of one clip, before it has a sound: the clip's name (a file name without its extension), the
    language, the text that is sealed, and the same words as a speech engine reads them."""

    clip: str
    language: str
    text: str
    spoken: str


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: Mapping[str, str]
    spoken: Mapping[str, str]
    placeholder: str
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Catalogue:
    sentences: Mapping[str, _Sentence]
    times: Mapping[str, Mapping[str, str]]
    days: Mapping[int, str]
    keys: Mapping[str, tuple[str, ...]]
    together: Mapping[Wording, Mapping[str, tuple[str, ...]]]


@cache
def _catalogue() -> _Catalogue:
    return load_sentences(Path(__file__).with_name("sentences.toml"))


def load_sentences(path: Path) -> _Catalogue:
    """Read a catalogue. Raises :class:`ConfigError` (``sentences.broken``) that says what is missing."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
        times = body["time"]
        together = {name: tuple(parts) for name, parts in body["spoken-together"].items()}
        longer = {name: tuple(parts) for name, parts in body["spoken-together-long"].items()}
        found = _Catalogue(
            sentences={name: _sentence(name, entry) for name, entry in body["clip"].items()},
            times={name: _words(f"time {name}", entry) for name, entry in times.items()},
            days={days: name for name, entry in times.items() for days in entry["days"]},
            keys={language: tuple(body["key"][language]) for language in LANGUAGES},
            together={SHORT: together, LONG: together | longer},
        )
        _check(found)
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            "sentences.broken",
            f"{path} cannot be used: {error}",
            "compare it with the file that was installed",
        ) from error


def _words(name: str, entry: Mapping[str, Any]) -> Mapping[str, str]:
    missing = [language for language in LANGUAGES if not entry.get(language)]
    if missing:
        raise ValueError(f"{name}: no words in {', '.join(missing)}")
    return MappingProxyType({language: entry[language] for language in LANGUAGES})


def _sentence(name: str, entry: Mapping[str, Any]) -> _Sentence:
    text = _words(f"clip {name}", entry)
    placeholder = entry.get("with", "")
    for language, words in text.items():
        expected = [placeholder] if placeholder else []
        if re.findall(r"{(\w*)}", words) != expected:
            raise ValueError(f"clip {name}, {language}: its placeholders are not {expected}")
    keys = tuple(entry.get("keys", ()))
    return _Sentence(text, MappingProxyType(dict(entry.get("spoken", {}))), placeholder, keys)


def _check(found: _Catalogue) -> None:
    stand_ins = {PURPOSES, RECORDED_FOR, ASKED_FOR, WHO_IS_THERE}
    for name, parts in (each for wording in WORDINGS for each in found.together[wording].items()):
        for part in parts:
            if part not in stand_ins and part not in found.sentences:
                raise ValueError(f"spoken-together {name}: there is no clip {part}")
    for language, words in found.keys.items():
        if len(words) != 10:
            raise ValueError(f"key {language}: ten words, for 0 to 9")
    for code in standard():
        for clip in (f"for-{code}", f"recorded-for-{code}", f"may-we-record-for-{code}", f"heard-for-{code}"):
            if clip not in found.sentences:
                raise ValueError(f"the purpose {code} has no clip {clip}")


def check_language(language: str) -> str:
    """The language, if there are sentences in it. Raises :class:`ConfigError` (``prompt.language``)."""
    if language not in LANGUAGES:
        raise ConfigError(
            "prompt.language",
            f"there are no sentences in {language!r}",
            f"one of {', '.join(LANGUAGES)}; any other language is your own WAV with its text",
        )
    return language


def clips_of(name: str, wording: Wording = SHORT) -> tuple[str, ...]:
    """The names of a prompt's clips, in order."""
    return _catalogue().together[wording][name]


def clip_text(name: str, language: str, *, keep_days: int | None = None, key: int | None = None) -> ClipText:
    """The text of one clip, with the value of its placeholder.

    Raises :class:`ConfigError`: ``prompt.language``, ``prompt.keep_time``, ``prompt.key``.
    """
    sentence = _catalogue().sentences[name]
    text = sentence.text[check_language(language)]
    pronunciation = sentence.spoken.get(language, text)
    if sentence.placeholder == "time":
        time, words = _time(keep_days, language)
        return ClipText(
            f"{name}-{time}", language, text.replace("{time}", words), pronunciation.replace("{time}", words)
        )
    if sentence.placeholder == "key":
        digit = _key(key, sentence.keys)
        word = _catalogue().keys[language][digit]
        return ClipText(
            f"{name}-{digit}",
            language,
            text.replace("{key}", str(digit)),
            pronunciation.replace("{key}", word),
        )
    return ClipText(name, language, text, pronunciation)


def time_words(keep_days: int, language: str) -> str:
    """A retention period as it is said: "one year". Raises :class:`ConfigError` (``prompt.keep_time``)."""
    return _time(keep_days, language)[1]


def _time(keep_days: int | None, language: str) -> tuple[str, str]:
    """The name and the words of a retention period."""
    if type(keep_days) is not int or not 1 <= keep_days <= LONGEST_KEEP_DAYS:
        raise ConfigError(
            "prompt.keep_time",
            f"a recording cannot be kept for {keep_days} days",
            f"a whole number of days, 1 to {LONGEST_KEEP_DAYS}",
        )
    name = _catalogue().days.get(keep_days)
    if name is None:
        words = _catalogue().times["other"][language]
        return f"{keep_days}-days", words.replace("{days}", str(keep_days))
    return name, _catalogue().times[name][language]


def _key(key: int | None, usual: Sequence[int]) -> int:
    if key is None:
        return usual[0]
    if type(key) is not int or not 0 <= key <= 9:
        raise ConfigError("prompt.key", f"{key!r} is not a key", "0 to 9")
    return key


def purpose_sentences(
    purposes: Sequence[str], language: str, own: Mapping[str, str], part: str = PURPOSES
) -> tuple[ClipText, ...]:
    """The sentences for some purposes: the standard ones in their own order, then a customer's own, each with
    the sentence that ``own`` has for its code. ``part`` is one of :data:`PURPOSES`, :data:`RECORDED_FOR` and
    :data:`ASKED_FOR`.

    Raises :class:`ConfigError`: ``prompt.no_purposes``, ``prompt.purpose_words``.
    """
    check_language(language)
    if isinstance(purposes, str) or not purposes:
        raise ConfigError(
            "prompt.no_purposes",
            "an announcement names no purpose",
            "name at least one: a recording is used only for what was announced",
        )
    first, other, alone = _PURPOSE_CLIPS[part]
    known = [code for code in standard() if code in purposes]
    owns = [
        _own_text(code, own.get(code, ""), language) for code in dict.fromkeys(purposes) if code not in known
    ]
    found: list[ClipText] = []
    for code in known:
        also = f"{other}-{code}"
        name = also if found and also in _catalogue().sentences else f"{first}-{code}"
        found.append(clip_text(name, language))
    if known:
        return (*found, *owns)
    before, after = ([clip_text(name, language) for name in names] for names in alone)
    return (*before, *owns, *after)


_PURPOSE_CLIPS: Final[Mapping[str, tuple[str, str, tuple[tuple[str, ...], tuple[str, ...]]]]] = {
    PURPOSES: ("for", "also", ((), ())),
    RECORDED_FOR: ("recorded-for", "and", (("recorded",), ())),
    ASKED_FOR: ("may-we-record-for", "and", (("ask-to-record",), ("may-we-record",))),
}
"""The clips of the first standard purpose and of the others, and what precedes and follows a customer's own
if there is no standard one."""


def _own_text(code: str, sentence: str, language: str) -> ClipText:
    text = " ".join(sentence.split())
    if not text:
        raise ConfigError(
            "prompt.purpose_words",
            f"the purpose {code!r} is not a standard one and has no sentence that announces it",
            "give it one plain sentence in the announcement's language",
        )
    if len(text) > LONGEST_OWN or not text.isprintable():
        raise ConfigError(
            "prompt.purpose_words",
            f"the sentence for the purpose {code!r} cannot be spoken: {text[:40]!r}",
            f"one plain sentence, at most {LONGEST_OWN} characters",
        )
    text = text if text[-1] in ".!?" else f"{text}."
    # Two customers may use one code for different sentences, so the clip is named after the words.
    return ClipText(f"purpose-{hashlib.sha256(text.encode()).hexdigest()[:12]}", language, text, text)


@cache
def all_clip_texts(language: str) -> Mapping[str, ClipText]:
    """Every text that has a shipped sound, or is recorded for an operator's own voice, by the clip's name.
    Raises :class:`ConfigError` (``prompt.language``)."""
    found: list[ClipText] = []
    check_language(language)
    for name, sentence in _catalogue().sentences.items():
        if sentence.placeholder == "time":
            found += [clip_text(name, language, keep_days=days) for days in named_days()]
        elif sentence.placeholder == "key":
            found += [clip_text(name, language, key=key) for key in sentence.keys]
        else:
            found.append(clip_text(name, language))
    return MappingProxyType({each.clip: each for each in found})


def named_days() -> list[int]:
    """The retention periods (days) that have words of their own, such as a year, and so a shipped sound."""
    first: dict[str, int] = {}
    for days, name in _catalogue().days.items():
        first.setdefault(name, days)
    return list(first.values())
