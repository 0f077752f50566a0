"""Announcements for tests and measurements: the sounds of a line in notice mode, as files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recorder.prompts.composer import announcement
from tests.scratch import scratch_folder


@dataclass(frozen=True, slots=True)
class AnnouncementFile:
    """An announcement.

    ``text`` is its exact wording; ``purposes`` are codes of ``purposes.toml``; ``keep_days`` is the announced
    retention period; ``path`` is a WAV file, 8 kHz, mono, PCM16, and ``sha256`` its hash in hex.
    """

    language: str
    purposes: tuple[str, ...]
    keep_days: int
    text: str
    path: Path
    sha256: str


@cache
def announcements() -> tuple[AnnouncementFile, ...]:
    """Return the English and the French announcement, in files that exist as long as this process. Raises
    :class:`recorder.errors.ConfigError` if a sentence has no sound."""
    folder = scratch_folder("announced")
    return tuple(_compose(folder, language, ("agreement",), 30) for language in ("en", "fr"))


def announcement_in(language: str) -> AnnouncementFile:
    """Return the announcement in a language. Raises :class:`KeyError` if there is none."""
    return {each.language: each for each in announcements()}[language]


def _compose(folder: Path, language: str, purposes: tuple[str, ...], keep_days: int) -> AnnouncementFile:
    rendered = announcement(language, mode="notice", purposes=purposes, keep_days=keep_days)
    path = folder / f"{language}.wav"
    path.write_bytes(rendered.wav)
    return AnnouncementFile(language, purposes, keep_days, rendered.text, path, rendered.sha256)
