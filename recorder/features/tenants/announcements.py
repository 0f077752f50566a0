"""Announcements: what a line says before it records, and what else its mode requires.

An announcement is made for one mode.  For opt-out it must say how to refuse; for opt-in it needs a question
and the sentence after a refusal.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import numpy as np
from peewee import fn

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.catalogue import country_check
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import announcement_row, composed_data
from recorder.catalogue.records import ASKING, AnnouncementRow, Composition
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.domain import names
from recorder.domain.call_plan import MODES, Mode
from recorder.domain.sentences import SpokenSentence
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7
from recorder.prompts.purposes import standard
from recorder.prompts.sound_check import CLIPPED_SHARE, clipped_share

CREATED: Final = "announcement.created"

LONGEST_SOUND_MS = 60_000
SOUND_RATES = (8000, 16000)


class Spoken(Protocol):
    """Something to be played: what it says, word for word, and the bytes of the WAV that says it."""

    @property
    def text(self) -> str: ...
    @property
    def wav(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class OwnSound:
    """A customer's own WAV, and what it says."""

    text: str
    wav: bytes


@dataclass(frozen=True, slots=True)
class Composed:
    """That an announcement was put together, and from what (``rows.Composition``), with the greeting's
    WAV."""

    composition: Composition
    greeting: bytes | None = None


def create_announcement(
    tenant: str,
    *,
    name: str,
    language: str,
    text: str,
    purposes: Sequence[str],
    keep_days: int,
    wav: bytes,
    mode: str = "notice",
    question: Spoken | None = None,
    declined: Spoken | None = None,
    composed: Composed | None = None,
    now: datetime,
    entropy: Entropy,
) -> AnnouncementRow:
    """The next version of an announcement of that name (the first, where there is none).

    ``wav`` is the sound that says ``text``: PCM 16 bit, one channel, 8 or 16 kHz, at most a minute.
    ``question`` and ``declined`` are needed where the ``mode`` asks, and nowhere else.  Raises
    :class:`CatalogueError`: ``announcement.name``, ``announcement.sound``, ``announcement.text``,
    ``announcement.question``,
    ``announcement.purposes``, ``announcement.keep_days``, ``country.keep_days``, ``line.settings`` (no such
    mode), ``tenant.unknown``; nothing has changed then.
    """
    name = names.tidy(name, "the announcement's name", "announcement.name")
    duration_ms = check_spoken(OwnSound(text, wav), "announcement")
    check_mode(mode)
    _check_asked(mode, question, declined)
    check_purposes(tenant, purposes, keep_days)
    identity = str(uuid7(now, entropy))
    with writing():
        lock_tenant(tenant)
        country_check.check(tenant, purposes, keep_days=keep_days)
        mine = (AnnouncementTable.tenant == tenant) & (AnnouncementTable.name == name)
        latest = AnnouncementTable.select(fn.MAX(AnnouncementTable.version)).where(mine).scalar()
        greeting = composed.greeting if composed else None
        row = AnnouncementTable.create(
            id=identity,
            tenant=tenant,
            name=name,
            version=(latest or 0) + 1,
            language=language,
            text=text,
            purposes=list(purposes),
            keep_days=keep_days,
            sound=keep_sound(wav, now),
            mode=mode,
            **_beside("question", question, now),
            **_beside("declined", declined, now),
            composed=composed_data(composed.composition if composed else None),
            greeting=None if greeting is None else keep_sound(greeting, now),
            created_at=now,
        )
        append(tenant, CREATED, says(row), now, entropy)
    return announcement_row(row, duration_ms)


def says(row: AnnouncementTable) -> dict[str, object]:
    """What the log says of an announcement."""
    said = {"announcement": row.id, "version": row.version, "sound": row.sound_id, "mode": row.mode}
    said |= {"purposes": row.purposes, "keep_days": row.keep_days, "language": row.language}
    return {**said, "name": row.name, **_texts(row)}


def logged(tenant: str) -> dict[str, Mapping[str, Any]]:
    """What the log says of each of a customer's announcements, by its id."""
    return {str(said.body.get("announcement")): said.body for said in leaf_lookup.decided(tenant, [CREATED])}


def _texts(row: AnnouncementTable) -> dict[str, str]:
    """What the log says of an announcement's words: the hash of each text, of how it was put together, and of
    the sounds beside it; nothing of what is not there."""
    texts = {"text": row.text, "question_text": row.question_text, "declined_text": row.declined_text}
    said = {f"{name}_sha256": sha256_of(text) for name, text in texts.items() if text is not None}
    if row.composed is not None:
        said["composed_sha256"] = sha256_of(row.composed)
    sounds = {"question": row.question_id, "declined": row.declined_id, "greeting": row.greeting_id}
    return said | {name: sha256 for name, sha256 in sounds.items() if sha256 is not None}


def kept(spoken: Spoken | None) -> SpokenSentence | None:
    """How the catalogue names something to be played."""
    return None if spoken is None else SpokenSentence(spoken.text, hashlib.sha256(spoken.wav).hexdigest())


def keep_sound(wav: bytes, now: datetime) -> str:
    """Inside the caller's transaction: a checked WAV's hash, by which the catalogue has it from now on."""
    sha256 = hashlib.sha256(wav).hexdigest()
    # Another customer may be given the same sound at this moment.
    sound = SoundTable.insert(sha256=sha256, wav=wav, duration_ms=sound_duration_ms(wav), created_at=now)
    sound.on_conflict_ignore().execute()
    return sha256


def check_spoken(spoken: Spoken, what: str) -> int:
    """How long something plays.  Raises :class:`CatalogueError`: ``announcement.sound``,
    ``announcement.text``."""
    duration_ms = sound_duration_ms(spoken.wav)
    if not spoken.text.strip():
        raise CatalogueError(
            "announcement.text",
            f"the {what} needs the text that its sound says",
            "write down what it says, word for word: it is sealed with every recording",
        )
    return duration_ms


def check_mode(mode: str) -> Mode:
    """The mode of that name.  Raises :class:`CatalogueError` (``line.settings``)."""
    known = next((each for each in MODES if each == mode), None)
    if known is None:
        raise CatalogueError("line.settings", f"there is no mode {mode!r}", f"one of {', '.join(MODES)}")
    return known


def sound_duration_ms(wav: bytes) -> int:
    """How long an operator's WAV plays.  Raises :class:`CatalogueError` (``announcement.sound``)."""
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


def _beside(name: str, spoken: Spoken | None, now: datetime) -> dict[str, Any]:
    if spoken is None:
        return {}
    return {f"{name}_text": spoken.text, name: keep_sound(spoken.wav, now)}


def _check_asked(mode: str, question: Spoken | None, declined: Spoken | None) -> None:
    given = {"question": question, "declined sentence": declined}
    if mode not in ASKING and any(given.values()):
        raise CatalogueError(
            "announcement.question",
            f"an announcement for {mode} asks nothing, and this one has a question or a declined sentence",
            f"leave them away, or make it for {' or '.join(ASKING)}",
        )
    for what, spoken in given.items():
        if mode in ASKING and spoken is None:
            raise CatalogueError(
                "announcement.question",
                f"an announcement for {mode} needs its {what}",
                "the question is what is asked (opt-in) or said after a wrong key (opt-out); the declined "
                "sentence says that the call is not recorded; `accord announcement compose` makes all three",
            )
        if spoken is not None:
            check_spoken(spoken, what)


def check_purposes(tenant: str, purposes: Sequence[str], keep_days: int) -> None:
    """That a customer has these purposes, and may keep a recording so long for each.  Raises
    :class:`CatalogueError`: ``announcement.purposes``, ``announcement.keep_days``."""
    if not purposes or len(set(purposes)) != len(purposes):
        raise CatalogueError(
            "announcement.purposes",
            "an announcement names at least one purpose, each once",
            "a recording is used for what was announced, and for nothing else",
        )
    with connected():
        longest = {
            row.code: row.longest_days for row in PurposeTable.select().where(PurposeTable.tenant == tenant)
        }
    # A purpose of their own never replaces a standard one: it could only be laxer.
    longest |= {code: purpose.longest_keep_days for code, purpose in standard().items()}
    for code in purposes:
        if code not in longest:
            raise CatalogueError(
                "announcement.purposes",
                f"there is no purpose {code!r}",
                f"known: {', '.join(sorted(longest))}",
            )
        if not 1 <= keep_days <= longest[code]:
            raise CatalogueError(
                "announcement.keep_days",
                f"recordings for {code} cannot be kept {keep_days} days",
                f"1 to {longest[code]} days",
            )


def _bad_sound(what: str) -> CatalogueError:
    return CatalogueError(
        "announcement.sound",
        f"the sound cannot be used: {what}",
        "a WAV of PCM 16 bit, one channel, 8000 or 16000 Hz, between half a second and a minute long, at "
        "about -20 dBFS",
    )
