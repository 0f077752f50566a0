"""What is said of purposes and of retention."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from babel.dates import format_skeleton

from recorder.prompts.purposes import standard
from web.language import current_language, current_locale
from web.text.sentences import plural


def purpose_list(codes: Iterable[str]) -> str:
    """Several purposes' labels."""
    known = standard()
    return ", ".join(known[code].label(current_language()) if code in known else code for code in codes)


def shortened_count(number: int, there: int) -> str:
    """For how many recordings of those that are there a purpose would end earlier."""
    return f"{plural('shortened', number)} {plural('kept_now', there)}"


def limit_confirmation(ends: int, agreed: int) -> str:
    """What somebody confirms: how many recordings end earlier, and how many of them although it was agreed to
    keep them longer."""
    text = plural("confirmed_shorter", ends + agreed)
    return f"{text} {plural('confirmed_agreed', agreed)}" if agreed else text


def month(day: date) -> str:
    """A month with its year, as it stands by itself."""
    text = str(format_skeleton("yMMMM", day, locale=current_locale()))
    return text[:1].upper() + text[1:]
