"""Sentences that are played into a call, their sound, and the purposes they announce.

``sentences`` is the catalogue of all of them, in four languages; ``render`` puts them together, text and
sound; ``clips`` knows where the sound of each comes from, ``speech`` the engines.  ``shipped()`` lists the
whole announcements that a new customer is given; ``purposes.standard()`` the standard purposes;
``check.check_sound()`` says whether an operator's own WAV can be played and found again.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recorder.errors import ConfigError

SOUNDS = Path(__file__).parent / "sounds"


@dataclass(frozen=True, slots=True)
class ShippedAnnouncement:
    """An announcement that comes with Accord.

    ``text`` is what is said, word for word; ``purposes`` are codes of ``purposes.toml``;
    ``keep_days`` the keeping time that is announced; ``path`` a WAV file, 8 kHz, mono, PCM16, and
    ``sha256`` its hash in hex.
    """

    language: str
    purposes: tuple[str, ...]
    keep_days: int
    text: str
    path: Path
    sha256: str


@cache
def shipped() -> tuple[ShippedAnnouncement, ...]:
    """The announcements that come with Accord, one a language.

    Raises :class:`ConfigError` where a sound is missing or is not the one its text was written for:
    a caller must never hear another sentence than the one that is sealed with the recording.
    """
    body = tomllib.loads((SOUNDS / "shipped.toml").read_text(encoding="utf-8"))
    return tuple(
        ShippedAnnouncement(
            language=entry["language"],
            purposes=tuple(entry["purposes"]),
            keep_days=entry["keep_days"],
            text=entry["text"],
            path=_checked(SOUNDS / entry["file"], entry["sha256"]),
            sha256=entry["sha256"],
        )
        for entry in body["announcement"]
    )


def _checked(path: Path, sha256: str) -> Path:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise ConfigError(
            "prompt.missing", f"the shipped sound {path} is missing", "install Accord again"
        ) from None
    if found != sha256:
        raise ConfigError(
            "prompt.changed",
            f"the shipped sound {path} was changed",
            "install Accord again; your own sound is added with: accord announcement add",
        )
    return path
