"""Announcements: what a line says before it records, and what else its mode requires.

An announcement is made for one mode. For opt-out it must say how to refuse; for opt-in it needs a question
and the sentence after a refusal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from peewee import fn

from recorder.auditlog.append import append, sha256_of, tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue import country_check
from recorder.catalogue.database import connected, forget, read_once
from recorder.catalogue.mappers import announcement_row, composition_data
from recorder.catalogue.prepared_query import insert, prepared
from recorder.catalogue.prompt_files import find_sound
from recorder.catalogue.records import AnnouncementRow, Composition
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.domain import names
from recorder.domain.sentences import SpokenSentence
from recorder.errors import CatalogueError
from recorder.features.tenants import rules
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import plans
from recorder.prompts.purposes import standard

CREATED: Final = "announcement.created"

NO_PURPOSES: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CompositionData:
    """What an announcement was composed from, with the greeting's WAV."""

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
    question: rules.SpokenText | None = None,
    declined: rules.SpokenText | None = None,
    composed: CompositionData | None = None,
    now: datetime,
    entropy: Entropy,
) -> AnnouncementRow:
    """Create the next version of an announcement of that name (or the first).

    ``wav`` is the sound of ``text``: PCM 16 bit, one channel, 8 or 16 kHz, at most a minute. ``question`` and
    ``declined`` are required in a ``mode`` that asks, and refused in any other. Raises
    :class:`CatalogueError`, with nothing changed: ``announcement.name``, ``announcement.sound``,
    ``announcement.text``, ``announcement.question``, ``announcement.purposes``, ``announcement.keep_days``,
    ``plan.keep_days``, ``country.keep_days``, ``line.settings`` (no such mode), ``tenant.unknown``."""
    name = names.tidy(name, "the announcement's name", "announcement.name")
    duration_ms = rules.check_spoken(rules.OwnSound(text, wav), "announcement")
    rules.check_mode(mode)
    rules.check_question(mode, question, declined)
    check_purposes(tenant, purposes, keep_days)
    identity = str(uuid7(now, entropy))
    with tenant_lock(tenant):
        country_check.check_setting(tenant, purposes, keep_days=keep_days)
        (latest,) = _latest(tenant, name)
        greeting = composed.greeting if composed else None
        row = AnnouncementTable(
            id=identity,
            tenant=tenant,
            name=name,
            version=(latest.version or 0) + 1,
            language=language,
            text=text,
            purposes=list(purposes),
            keep_days=keep_days,
            sound=store_sound(wav, now),
            mode=mode,
            **_beside("question", question, now),
            **_beside("declined", declined, now),
            composed=composition_data(composed.composition if composed else None),
            greeting=None if greeting is None else store_sound(greeting, now),
            created_at=now,
        )
        insert(row)
        append(tenant, CREATED, leaf_body(row), now, entropy)
    return announcement_row(row, duration_ms)


@prepared(AnnouncementTable)
def _latest(tenant: str, name: str) -> Any:
    latest = AnnouncementTable.select(fn.MAX(AnnouncementTable.version).alias("version"))
    return latest.where((AnnouncementTable.tenant == tenant) & (AnnouncementTable.name == name))


def leaf_body(row: AnnouncementTable) -> dict[str, object]:
    """The body of an announcement's leaf."""
    body = {"announcement": row.id, "version": row.version, "sound": row.sound_id, "mode": row.mode}
    body |= {"purposes": row.purposes, "keep_days": row.keep_days, "language": row.language}
    return {**body, "name": row.name, **_texts(row)}


def announcements_in(leaves: Iterable[LoggedLeaf]) -> dict[str, Mapping[str, Any]]:
    """The leaves' bodies of announcements, by id, among a customer's leaves of whatever kinds."""
    return {str(leaf.body.get("announcement")): leaf.body for leaf in leaves if leaf.kind == CREATED}


def _texts(row: AnnouncementTable) -> dict[str, str]:
    """The hashes, in a leaf, of an announcement's texts, composition and further sounds, as far as it has
    them."""
    texts = {"text": row.text, "question_text": row.question_text, "declined_text": row.declined_text}
    hashes = {f"{name}_sha256": sha256_of(text) for name, text in texts.items() if text is not None}
    if row.composed is not None:
        hashes["composed_sha256"] = sha256_of(row.composed)
    sounds = {"question": row.question_id, "declined": row.declined_id, "greeting": row.greeting_id}
    return hashes | {name: sha256 for name, sha256 in sounds.items() if sha256 is not None}


def sentence_of(sentence: rules.SpokenText | None) -> SpokenSentence | None:
    """The catalogue's reference to a spoken text."""
    return None if sentence is None else SpokenSentence(sentence.text, _hash(sentence.wav))


def read_sound(sha256: str) -> bytes:
    """The WAV of a sound. Raises :func:`sound_missing`."""
    wav = find_sound(sha256)
    if wav is None:
        raise sound_missing(sha256)
    return wav


def sound_missing(sha256: str) -> CatalogueError:
    """The error about a sound that the catalogue lacks (``announcement.sound_missing``)."""
    return CatalogueError(
        "announcement.sound_missing",
        f"the catalogue has no sound {sha256[:12]}, or not as it was saved",
        "`accord audit run` names the row; restore it from a backup, or give the line another announcement: "
        "`accord line set --announcement`",
    )


def store_sound(wav: bytes, now: datetime) -> str:
    """Inside the caller's transaction: store a checked WAV; returns its hash."""
    sha256 = _hash(wav)
    if not read_once("sound", sha256, lambda: _stored(sha256)):
        # Another customer may store the same sound at this moment.
        duration_ms = rules.sound_duration_ms(wav)
        sound = SoundTable.insert(sha256=sha256, wav=wav, duration_ms=duration_ms, created_at=now)
        sound.on_conflict_ignore().execute()
        forget("sound", sha256)
    return sha256


@lru_cache(maxsize=16)
def _hash(wav: bytes) -> str:
    """Its SHA-256 in hex: many customers say the same."""
    return hashlib.sha256(wav).hexdigest()


@prepared(SoundTable)
def _stored(sha256: str) -> Any:
    return SoundTable.select(SoundTable.sha256).where(SoundTable.sha256 == sha256)


def _beside(name: str, sentence: rules.SpokenText | None, now: datetime) -> dict[str, Any]:
    if sentence is None:
        return {}
    return {f"{name}_text": sentence.text, name: store_sound(sentence.wav, now)}


def check_purposes(tenant: str, purposes: Sequence[str], keep_days: int) -> None:
    """Check that a customer has these purposes, and may keep a recording that long for each. Raises
    :class:`CatalogueError`: ``announcement.purposes``, ``announcement.keep_days``, ``plan.keep_days``."""
    with connected():
        own = {row.code: row.longest_days for row in _own_purposes(tenant)}
    check_promise(purposes, keep_days, own)
    plans.check_keep_days(tenant, keep_days)


@prepared(PurposeTable)
def _own_purposes(tenant: str) -> Any:
    return PurposeTable.select(PurposeTable.code, PurposeTable.longest_days).where(
        PurposeTable.tenant == tenant
    )


def check_promise(purposes: Sequence[str], keep_days: int, own: Mapping[str, int] = NO_PURPOSES) -> None:
    """Check that there are these purposes, each once, and that a recording may be kept that long for each.
    ``own`` are the longest days of a customer's own purposes, by code. Raises :class:`CatalogueError`
    (``announcement.purposes``, ``announcement.keep_days``)."""
    if not purposes or len(set(purposes)) != len(purposes):
        raise CatalogueError(
            "announcement.purposes",
            "an announcement needs at least one purpose, each once",
            "list the purposes: a recording is used for them alone",
        )
    # A customer's own purpose never replaces a standard one, since it could only be laxer.
    longest = {**own, **{code: purpose.longest_keep_days for code, purpose in standard().items()}}
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
