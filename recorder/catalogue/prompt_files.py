"""Prompts as files in a node's snapshot folder, each named by its hash."""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import datetime
from pathlib import Path

from recorder.catalogue.database import connected
from recorder.catalogue.tables.announcement import SoundTable
from recorder.spool.atomic_files import write_file
from recorder.spool.snapshot import PROMPTS


def put_prompt(folder: Path, sha256: str, now: datetime) -> Path | None:
    """The file of a sound; written from the catalogue if it is missing or damaged. ``None`` if the catalogue
    lacks it (:func:`find_sound`). ``now`` becomes the file's time of last use. Raises ``OSError``."""
    path = folder / PROMPTS / f"{sha256}.wav"
    with _placement:
        if not is_intact(path, sha256):
            wav = find_sound(sha256)
            if wav is None:
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, wav)
    used_at = now.timestamp()
    os.utime(path, (used_at, used_at))
    return path


def has_prompt(folder: Path, sha256: str) -> bool:
    """Whether :func:`put_prompt` would find the sound; writes nothing."""
    return is_intact(folder / PROMPTS / f"{sha256}.wav", sha256) or find_sound(sha256) is not None


def find_sound(sha256: str) -> bytes | None:
    """The WAV of a sound in the catalogue; ``None`` if its row is missing, or was changed outside Accord."""
    with connected():
        row = SoundTable.get_or_none(SoundTable.sha256 == sha256)
    wav = None if row is None else bytes(row.wav)
    return wav if wav is not None and sha256_of(wav) == sha256 else None


def is_intact(path: Path, sha256: str) -> bool:
    """Whether a file exists and has this SHA-256 (hex)."""
    try:
        return sha256_of(path.read_bytes()) == sha256
    except OSError:
        return False


def sha256_of(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


_placement = threading.Lock()
"""Several threads of the worker write the same files, for takes and for the snapshot."""
