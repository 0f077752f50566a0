"""Announcements for tests and measurements: what a line in notice says, as files."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recorder.prompts.composer import announcement


@dataclass(frozen=True, slots=True)
class AnnouncementFile:
    """An announcement that may be played.

    ``text`` is what is said, word for word; ``purposes`` are codes of ``purposes.toml``; ``keep_days`` the
    keeping time that is announced; ``path`` a WAV file, 8 kHz, mono, PCM16, and ``sha256`` its hash in hex.
    """

    language: str
    purposes: tuple[str, ...]
    keep_days: int
    text: str
    path: Path
    sha256: str


@cache
def announcements() -> tuple[AnnouncementFile, ...]:
    """The English and the French one, in files that are there as long as this process.  Raises
    :class:`recorder.errors.ConfigError` where a sentence has no sound."""
    folder = Path(tempfile.mkdtemp(prefix="accord-announced-"))
    atexit.register(_remove, folder, os.getpid())
    return tuple(_put_together(folder, language, ("agreement",), 30) for language in ("en", "fr"))


def announcement_in(language: str) -> AnnouncementFile:
    """The one in a language.  Raises :class:`KeyError` where there is none."""
    return {each.language: each for each in announcements()}[language]


def _put_together(folder: Path, language: str, purposes: tuple[str, ...], keep_days: int) -> AnnouncementFile:
    made = announcement(language, mode="notice", purposes=purposes, keep_days=keep_days)
    path = folder / f"{language}.wav"
    path.write_bytes(made.wav)
    return AnnouncementFile(language, purposes, keep_days, made.text, path, made.sha256)


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:  # a child that was forked must not take its parent's files away
        shutil.rmtree(folder, ignore_errors=True)
