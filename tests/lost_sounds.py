"""Sounds that the catalogue loses behind Accord's back, and has again."""

from __future__ import annotations

from datetime import datetime

from peewee import SqliteDatabase

from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.announcement import SoundTable


def lose_sound(sha256: str) -> bytes:
    """Delete a sound although rows refer to it; returns it."""
    with connected():
        wav = bytes(SoundTable.get_by_id(sha256).wav)
        if isinstance(database.obj, SqliteDatabase):
            database.execute_sql("PRAGMA foreign_keys = OFF")
            SoundTable.delete_by_id(sha256)
            database.execute_sql("PRAGMA foreign_keys = ON")
            return wav
        with database.atomic():
            database.execute_sql("SET LOCAL session_replication_role = replica")
            SoundTable.delete_by_id(sha256)
    return wav


def damage_sound(sha256: str) -> bytes:
    """Change a sound; returns what it was."""
    with writing():
        wav = bytes(SoundTable.get_by_id(sha256).wav)
        SoundTable.update(wav=b"noise").where(SoundTable.sha256 == sha256).execute()
    return wav


def restore_sound(sha256: str, wav: bytes, now: datetime) -> None:
    """Bring a sound back."""
    sound = SoundTable.insert(sha256=sha256, wav=wav, duration_ms=1000, created_at=now)
    with writing():
        sound.on_conflict(conflict_target=[SoundTable.sha256], update={SoundTable.wav: wav}).execute()
