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
    has no such sound. ``now`` becomes the file's time of last use. Raises ``OSError``."""
    path = folder / PROMPTS / f"{sha256}.wav"
    with _placement:
        if not is_intact(path, sha256):
            with connected():
                row = SoundTable.get_or_none(SoundTable.sha256 == sha256)
            if row is None:
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, bytes(row.wav))
    used_at = now.timestamp()
    os.utime(path, (used_at, used_at))
    return path


def has_prompt(folder: Path, sha256: str) -> bool:
    """Whether :func:`put_prompt` would find the sound; writes nothing."""
    if is_intact(folder / PROMPTS / f"{sha256}.wav", sha256):
        return True
    with connected():
        return bool(SoundTable.select().where(SoundTable.sha256 == sha256).exists())


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
