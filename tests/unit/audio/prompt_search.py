"""Searches for a prompt in an audio file."""

from __future__ import annotations

from pathlib import Path

from recorder.audio import prompt_match, wav
from recorder.audio.encoded_take import LocatedAnnouncement


def find(
    prompt: Path, audio: Path, channel: int = 1, until_ms: int | None = None
) -> LocatedAnnouncement | None:
    """The last whole playing of ``prompt`` in a channel of a take (1: what the external party heard),
    searched for before ``until_ms`` first. Raises :class:`TakeError` for an unreadable file."""
    sound = wav.inspect(audio)
    match = prompt_match.find_last_playing(
        prompt_match.load_prompt(prompt, sound.sample_rate), sound, channel, until_ms
    )
    return None if match is None else prompt_match.to_milliseconds(match, sound.sample_rate)
