"""Sentences about causes (``sentences.toml``) in the reader's language, the same in the panel and in mail."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from recorder.clock import from_iso
from recorder.domain import time_zones
from recorder.domain.written_dates import write_first
from recorder.identity.account_mail import LOCALES

PHRASES = "phrases"


@dataclass(frozen=True, slots=True)
class CauseSentences:
    """Why a notification was made, and what to do."""

    why: str
    what_to_do: str


def explain_cause(cause: str, data: Mapping[str, Any], language: str, time_zone: str) -> CauseSentences:
    """The sentences about a notification's cause, with its ``data`` as values; in English if there are none
    in the language."""
    words, values = _words(cause, language), _values(data, language, time_zone)
    return CauseSentences(words["why"].format_map(values), words["what_to_do"].format_map(values))


def phrase(name: str, language: str, **values: str) -> str:
    """A phrase of a mail."""
    return _words(PHRASES, language)[name].format_map(values)


def _values(data: Mapping[str, Any], language: str, time_zone: str) -> dict[str, str]:
    """Values as people read them: numbers, days, and times as days in the customer's time zone. Anything else
    in a row is left out: a mail says nothing that was written into the catalogue by hand."""
    locale, zone = LOCALES.get(language, language), time_zones.display_zone(time_zone)
    found = defaultdict(lambda: "–")
    for name, value in data.items():
        with suppress(ValueError, TypeError):
            if name == "until":
                found[name] = _date_text(from_iso(value).astimezone(zone).date(), locale)
            elif name == "due_on":
                found[name] = _date_text(date.fromisoformat(value), locale)
            elif name in ("imported", "failed"):
                found[name] = format_decimal(int(value), locale=locale)
    return found


def _date_text(day: date, locale: str) -> str:
    return write_first(format_date(day, "long", locale=locale), locale)


def _words(section: str, language: str) -> Mapping[str, str]:
    found = load_sentences()[section]
    return found.get(language) or found["en"]


@cache
def load_sentences() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Every section of the file, by language."""
    return tomllib.loads(Path(__file__).with_name("sentences.toml").read_text("utf-8"))
