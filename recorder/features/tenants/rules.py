"""The rules for what a line says: sounds, texts, modes, languages and timing."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from recorder.catalogue.records import ASKING_MODES, MOST_LANGUAGES
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.domain.call_plan import MODES, NOTICE, Mode
from recorder.domain.line_policy import AT_PICKUP, ONCE_CONNECTED
from recorder.errors import CatalogueError
from recorder.prompts.sound_check import CLIPPED_SHARE, clipped_share

LONGEST_SOUND_MS = 60_000

SOUND_RATES = (8000, 16000)


class SpokenText(Protocol):
    """A spoken text: word for word, and the bytes of its WAV."""

    @property
    def text(self) -> str: ...
    @property
    def wav(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class OwnSound:
    """A customer's own WAV, and its text."""

    text: str
    wav: bytes


def check_mode(mode: str) -> Mode:
    """The mode of that name. Raises :class:`CatalogueError` (``line.settings``)."""
    known = next((each for each in MODES if each == mode), None)
    if known is None:
        raise CatalogueError("line.settings", f"there is no mode {mode!r}", f"one of {', '.join(MODES)}")
    return known


def check_spoken(sentence: SpokenText, what: str) -> int:
    """How long a spoken text lasts (ms). Raises :class:`CatalogueError`: ``announcement.sound``,
    ``announcement.text``."""
    duration_ms = sound_duration_ms(sentence.wav)
    if not sentence.text.strip():
        raise CatalogueError(
            "announcement.text",
            f"the {what} needs the text of its sound",
            "write it down word for word: it is sealed with every recording",
        )
    return duration_ms


@lru_cache(maxsize=16)
def sound_duration_ms(wav: bytes) -> int:
    """How long an operator's WAV lasts. Raises :class:`CatalogueError` (``announcement.sound``)."""
    try:
        with wave.open(io.BytesIO(wav)) as sound:
            shape = (sound.getnchannels(), sound.getsampwidth())
            rate, content = sound.getframerate(), sound.readframes(sound.getnframes())
    except (wave.Error, EOFError) as error:
        raise _bad_sound(f"it is no PCM WAV file: {error}") from error
    if shape != (1, 2) or rate not in SOUND_RATES:
        raise _bad_sound(f"it has {shape[0]} channels of {shape[1] * 8} bit at {rate} Hz")
    samples = np.frombuffer(content, dtype="<i2", count=len(content) // 2)
    duration_ms: int = len(samples) * 1000 // rate
    if not 500 <= duration_ms <= LONGEST_SOUND_MS:
        raise _bad_sound(f"it lasts {duration_ms} ms")
    if clipped_share(samples) > CLIPPED_SHARE:
        raise _bad_sound("it is too loud: it clips")
    return duration_ms


def check_question(mode: str, question: SpokenText | None, declined: SpokenText | None) -> None:
    """Check that an announcement has a question and a declined sentence if, and only if, its mode asks.
    Raises :class:`CatalogueError` (``announcement.question``, or as :func:`check_spoken`)."""
    parts = {"question": question, "declined sentence": declined}
    if mode not in ASKING_MODES and any(parts.values()):
        raise CatalogueError(
            "announcement.question",
            f"an announcement for {mode} needs no question and no declined sentence",
            f"omit them, or make it for {' or '.join(ASKING_MODES)}",
        )
    for what, sentence in parts.items():
        if mode in ASKING_MODES and sentence is None:
            raise CatalogueError(
                "announcement.question",
                f"an announcement for {mode} needs its {what}",
                "the question is what is asked (opt-in) or said after a wrong key (opt-out); the declined "
                "sentence says that the call is not recorded; `accord announcement compose` makes all three",
            )
        if sentence is not None:
            check_spoken(sentence, what)


def _bad_sound(what: str) -> CatalogueError:
    return CatalogueError(
        "announcement.sound",
        f"the sound cannot be used: {what}",
        "a WAV of PCM 16 bit, one channel, 8000 or 16000 Hz, between half a second and a minute long, at "
        "about -20 dBFS",
    )


def check_timing(timing: str, outbound: str, mode: str, others: Sequence[str]) -> None:
    """Check that a line that asks does so before the parties are connected. Raises :class:`CatalogueError`
    (``line.timing``)."""
    if mode == NOTICE and not others:
        return
    asks = f"asks ({mode})" if mode != NOTICE else "offers several languages"
    if outbound == ONCE_CONNECTED:
        raise CatalogueError(
            "line.timing",
            f"a line that {asks} must do so before connecting, or both parties would have to wait",
            "use `accord line set --outbound before-connected`; once connected, only notice in one language",
        )
    if timing == AT_PICKUP:
        raise CatalogueError(
            "line.timing",
            f"a line that {asks} must announce before ringing, or the colleague would have to wait",
            "use `accord line set --timing before-ringing`; at pick-up, only notice in one language",
        )


def check_expected_mode(first: AnnouncementTable, expected: str | None) -> None:
    """Check that an announcement was made for the expected mode. Raises :class:`CatalogueError`
    (``line.mode``)."""
    if expected is not None and first.mode != expected:
        raise CatalogueError(
            "line.mode",
            f"the announcement {first.name} (version {first.version}) was made for {first.mode}, "
            f"not for {expected}: callers would not hear the right question",
            f"make one with `accord announcement compose --mode {expected}`, or omit the mode",
        )


def check_spoken_languages(languages: Sequence[str]) -> None:
    """Check that a line can speak these languages. Raises :class:`CatalogueError` (``line.languages``)."""
    if not languages or len(set(languages)) != len(languages) or len(languages) > MOST_LANGUAGES:
        raise CatalogueError(
            "line.languages",
            f"a line cannot speak {', '.join(languages) or 'no language'}",
            f"1 to {MOST_LANGUAGES} languages, each once",
        )


def check_languages(rows: Sequence[AnnouncementTable]) -> None:
    """Check that announcements differ in language and agree in everything that they promise. Raises
    :class:`CatalogueError` (``line.languages``)."""
    languages = [row.language for row in rows]
    if len(set(languages)) != len(languages) or len(languages) > MOST_LANGUAGES:
        raise CatalogueError(
            "line.languages",
            f"a line cannot speak {', '.join(languages)}",
            f"use each language once, at most {MOST_LANGUAGES}",
        )
    first = rows[0]
    for row in rows[1:]:
        same = (row.mode, sorted(row.purposes), row.keep_days)
        if same != (first.mode, sorted(first.purposes), first.keep_days):
            raise CatalogueError(
                "line.languages",
                f"{_promise(first)}, but {_promise(row)}",
                "all announcements of a line need the same mode, purposes and retention",
            )


def _promise(row: AnnouncementTable) -> str:
    promise = f"{row.mode}, {', '.join(row.purposes)}, {row.keep_days} days"
    return f"{row.name} (version {row.version}, {row.language}) says {promise}"


def check_menu(rows: Sequence[AnnouncementTable], menu: SpokenText | None) -> None:
    """Check that a line has a menu if, and only if, it has several languages. Raises :class:`CatalogueError`
    (``line.menu``)."""
    if (menu is None) != (len(rows) == 1):
        raise CatalogueError(
            "line.menu",
            "a line in several languages needs a menu"
            if menu is None
            else "a line in one language has no menu",
            "`accord line set --language` makes it, or takes it away",
        )
    if menu is not None:
        check_spoken(menu, "menu")
