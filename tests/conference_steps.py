"""What a conference answers and reports, step by step: the same on the real and on the practice switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from recorder.switch.conference_events import MAINTENANCE

ROOM: Final = "room-a"
RATE: Final = 8000
SECONDS: Final = 20

STEPS: Final[Sequence[tuple[str, str, tuple[str, ...]]]] = (
    ("play_status", "-ERR Nothing is playing", ()),
    ("file_seek 1000", "-ERR no reply", ()),
    ("pause_play", "-ERR no reply", ()),
    ("stop all", "+OK Stopped 0 files.", ()),
    ("play {folder}/none.wav", "-ERR (play) File: {folder}/none.wav not found.", ("play-file",)),
    ("play {sound}", "+OK (play) Playing file {sound}", ("play-file",)),
    ("play_status", "+OK 0/0 {sound}", ()),
    ("pause_play", "+OK Pause", ()),
    ("file_seek 5000", "+OK seek to position 40000", ()),
    ("pause_play", "+OK Resume", ()),
    ("file_seek 10000", "+OK seek to position 80000", ()),
    ("play {sound}", "+OK (play) Playing file {sound}", ("play-file",)),
    ("stop all", "+OK Stopped 2 files.", ("play-file-done", "play-file-done")),
    ("play {sound}", "+OK (play) Playing file {sound}", ("play-file",)),
    ("file_seek 99999", "+OK seek to position 799992", ("play-file-done",)),
    ("file_seek 1000", "-ERR no reply", ()),
    ("undeaf 9", "-ERR Non-Existant ID 9", ()),
    ("undeaf 1", "+OK undeaf 1", ("undeaf-member",)),
    ("play {folder}/none.wav 1 nomux", "-ERR (play) File: {folder}/none.wav not found.", ()),
    ("play {sound} 1 nomux", "+OK (play) Playing file {sound} to member 1", ("play-file-member",)),
    ("stop all 1", "+OK Stopped 1 files.", ("play-file-member-done",)),
    ("stop all 9", "-ERR Member: 9 not found.", ()),
    ("kick 9", "-ERR Non-Existant ID 9", ()),
    ("kick 1", "+OK kicked 1", ("kick-member", "del-member")),
    ("hup 2", "+OK hup 2", ("hup-member", "del-member", "conference-destroy")),
    ("list", "-ERR Conference room-a not found", ()),
)
"""A command after ``conference <name>``, its answer, and the actions that are reported."""

IGNORED: Final = ("floor-change", "start-talking", "stop-talking")


def write_sound(folder: Path, seconds: int = SECONDS) -> Path:
    """A tone to play."""
    path = folder / "tone.wav"
    samples = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE * seconds) / RATE)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path


def actions_of(events: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The relevant actions among events, in order."""
    ours = [each for each in events if each.get("Event-Subclass") == MAINTENANCE]
    return tuple(each["Action"] for each in ours if each["Action"] not in IGNORED)


def check_steps(
    api: Callable[[str], str], events: Callable[[int], Sequence[Mapping[str, str]]], folder: Path
) -> None:
    """Go through the steps with two members present. ``events`` returns those since it was last called, once
    it has so many relevant ones."""
    sound = write_sound(folder)
    for command, answer, actions in STEPS:
        place = {"folder": folder, "sound": sound}
        assert api(f"conference {ROOM} {command.format(**place)}").strip() == answer.format(**place), command
        assert actions_of(events(len(actions))) == actions, command
