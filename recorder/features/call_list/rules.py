"""What can be searched for, and how what people type is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.domain import phone_numbers
from recorder.domain.names import fold_name

CONSENTS = ("notice", "opt-in", "opt-out", "declined", "unanswered", "unannounced", "imported")
"""How somebody came to be recorded, or not: announced; asked, and agreed; could decline; declined; asked
without an answer; the announcement was not found; imported."""

AGREEMENTS = ("agreed", "entered", "refused", "unanswered", "withdrawn", "not-asked")
"""What became of the keep question; ``entered``: an agreement was entered after the call, which is not the
other side's answer."""

DIRECTIONS = ("inbound", "outbound")

LONGEST_TEXT = phone_numbers.LONGEST


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls of a tenant are wanted; ``None`` and ``False`` ask for nothing in particular.

    ``text`` is a part of a number or an address, from :func:`parse_text`, and ``name`` the same as a part of
    a line's label, a colleague's name or a number's, from :func:`parse_name`; ``words`` is the same as a part
    of what people wrote, from :func:`parse_words`. ``external_party`` is the whole number or address of the
    external party. ``since`` is inclusive, ``until`` exclusive. ``line`` is the id of one line; ``scope`` are
    the ids of the lines that the visitor may see, ``None`` if all of them. Lengths are milliseconds of audio,
    the upper one exclusive. ``handed_to`` is the id of a user whom others asked to handle what a call is kept
    for."""

    tenant: str
    text: str | None = None
    name: str | None = None
    words: str | None = None
    external_party: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    line: str | None = None
    scope: frozenset[str] | None = None
    direction: str | None = None
    shortest_ms: int | None = None
    longest_ms: int | None = None
    consent: str | None = None
    agreement: str | None = None
    held: bool = False
    handed_to: str | None = None
    noted: bool = False
    label: str | None = None
    recorded: bool | None = None
    reason: str | None = None


_EXTENSION: Final = re.compile(r"[^\W\d_]+\s([0-9]{2,})")
"""A word and a number: the label of an extension, whatever the language."""


def parse_text(typed: str) -> str | None:
    """Return what to search for: the digits of a number in any spelling, without an international or trunk
    prefix, so that ``0470 12 34 56`` finds ``+32470123456``, and of an extension as pages show it
    (``extension 2001``); other text in small letters. ``None`` if nothing can be searched for."""
    text = typed.strip()[:LONGEST_TEXT]
    if labelled := _EXTENSION.fullmatch(text):
        return labelled[1]
    digits = phone_numbers.strip_punctuation(text)
    if re.fullmatch(r"\+?[0-9]+", digits):
        without_plus = digits.lstrip("+")
        return without_plus.lstrip("0") or without_plus
    return text.lower() if any(each.isalnum() for each in text) else None


def parse_name(typed: str) -> str | None:
    """Return the part of a name to search for, see :func:`.fold_name`; ``None`` if a number was typed, or
    nothing that can be searched for."""
    text = parse_text(typed)
    digits = phone_numbers.strip_punctuation(typed)
    return None if text is None or re.fullmatch(r"\+?[0-9]+", digits) else fold_name(typed)


def parse_words(typed: str) -> str | None:
    """Return the part of a note to search for, see :func:`.fold_name`, which may be a number; ``None`` if
    nothing was typed that can be searched for."""
    return None if parse_text(typed) is None else fold_name(typed.strip()[:LONGEST_TEXT])


def is_number(text: str) -> bool:
    """Whether a text from :func:`parse_text` consists of digits alone."""
    return text.isascii() and text.isdigit()
