"""Who is on a practice call: what the caller's INVITE said, what both say, and what the called one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Callee = Literal["answers", "busy", "silent"]

SPEECH = Path(__file__).parent / "speech"
"""A conversation a language, a voice a file, both of the same length."""


@dataclass(frozen=True, slots=True)
class PracticeParty:
    """Both ends of a call.

    ``number`` and ``name`` are the caller's, as the INVITE claims; ``variables`` further channel
    variables that it makes (``sip_h_X-…``).  ``speaks`` and ``answers_with`` are WAV files (8 kHz, mono,
    PCM16) that both begin to say when they are connected; ``early`` what the caller says before that.
    ``callee`` says whether the called one answers (after ``rings`` seconds), is busy, or lets it ring.
    ``talks`` ends the call that many seconds after the connection; ``None``: when told.
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
