"""Dates as people write them, where CLDR's patterns say it otherwise."""

from __future__ import annotations

import re
from typing import Final

_FIRST: Final = re.compile(r"\b1 (?=[^\W\d_]+\.? \d{4})")


def write_first(text: str, language: str) -> str:
    """A text with its dates as a language writes them: French has ``1er décembre 2026`` before ``2 décembre
    2026``. ``language`` is a language's or a locale's code."""
    return _FIRST.sub("1er ", text) if language.partition("_")[0] == "fr" else text
