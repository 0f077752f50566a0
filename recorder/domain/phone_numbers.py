"""Telephone numbers as people write them, and as Accord prints them: one form for all spellings."""

from __future__ import annotations

import re
import unicodedata

import phonenumbers

LONGEST = 60
"""Characters that a number is looked for in."""

SHORT = 7
"""Digits: what has fewer, and no country, is an extension or a short number, and stays as it is."""

_PUNCTUATION = re.compile(r"[\s()\[\]./\-\u2010-\u2015\u2212]")
_TRUNK = re.compile(r"\(0\)")
_NUMBER = re.compile(r"\+?[0-9]+")


def plain(text: str) -> str:
    """A number without what only makes it easier to read: blanks of all kinds, brackets, dashes, dots,
    direction marks, ``tel:``, and the ``(0)`` that nobody dials.  What is none is left as words."""
    text = unicodedata.normalize("NFKC", text[:LONGEST])
    text = "".join(each for each in text if unicodedata.category(each) != "Cf")
    text = text.strip().removeprefix("tel:").lstrip()
    if text.startswith(("+", "00")):
        text = _TRUNK.sub("", text)
    return _PUNCTUATION.sub("", text)


def canonical(text: str, country: str) -> str | None:
    """E.164 (``+3225550100``) for a number that a customer of a ``country`` (``be``) writes, in any spelling;
    the digits alone for an extension or a short number.  ``None`` for what is no number."""
    written = plain(text)
    if not _NUMBER.fullmatch(written):
        return None
    abroad = written.startswith(("+", "00"))
    if not abroad and len(written) < SHORT:
        return written
    try:
        found = phonenumbers.parse(
            f"+{written[2:]}" if written.startswith("00") else written, country.upper()
        )
    except phonenumbers.NumberParseException:
        return written
    valid = phonenumbers.is_valid_number(found)
    if valid or (phonenumbers.is_possible_number(found) and (abroad or written.startswith("0"))):
        return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
    return written
