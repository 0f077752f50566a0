"""The parties of a practice call: the caller's INVITE, what both say, and how the callee behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Callee = Literal["answers", "busy", "silent"]

SPEECH = Path(__file__).parent / "speech"
"""One conversation per language, one file per voice, both of equal length."""


@dataclass(frozen=True, slots=True)
class PracticeParty:
    """Both ends of a call.

    ``number`` and ``name`` are the caller's, as the INVITE claims; ``variables`` further channel variables
    that it sets (``sip_h_X-…``). ``speaks`` and ``answers_with`` are WAV files (8 kHz, mono, PCM16) that both
    start to say when they are connected; ``early`` is what the caller says before that. ``callee`` says
    whether the callee answers (after ``rings`` seconds), is busy, or lets it ring. ``talks`` ends the call
    that many seconds after the connection; ``None``: on command.
    """

    number: str = "+32470000001"
    name: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    speaks: Path | None = None
    answers_with: Path | None = None
    early: Path | None = None
    callee: Callee = "answers"
    rings: float = 1.0
    talks: float | None = None


def dialogue(language: str) -> tuple[Path, Path]:
    """The caller's and the callee's voice of a conversation, ``fr`` or ``en``."""
    return SPEECH / language / "caller.wav", SPEECH / language / "callee.wav"
