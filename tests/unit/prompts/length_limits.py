"""How long each prompt may be in the short wording (``limits.toml``)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """In seconds."""

    announcement_s: float
    further_purpose_s: float
    refusal_s: float
    opt_in_s: float
    keep_question_s: float
    keep_result_s: float


@cache
def limits() -> LengthLimits:
    return LengthLimits(**tomllib.loads(Path(__file__).with_name("limits.toml").read_text(encoding="utf-8")))
