"""Telephone numbers as people write them: one canonical form for all spellings.

The library is imported where it is used: it takes as long as a whole command that only lists something. The
daemon imports it at once (``processes/daemon.py``)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 60
"""Maximum length of the text that is searched for a number, in characters."""

SHORT = 7
"""Digits below which a number without a country code is an extension or a short number, and stays as it
is."""

_PUNCTUATION = re.compile(r"[\s()\[\]./\-\u2010-\u2015\u2212]")
_TRUNK = re.compile(r"\(0\)")
_NUMBER = re.compile(r"\+?[0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def strip_punctuation(text: str) -> str:
    """Return a number without readability marks: blanks of all kinds, brackets, dashes, dots, direction
    marks, ``tel:``, and the ``(0)`` that nobody dials. Other text stays as words."""
    text = unicodedata.normalize("NFKC", text[:LONGEST])
    text = "".join(each for each in text if unicodedata.category(each) != "Cf")
    text = text.strip().removeprefix("tel:").lstrip()
    if text.startswith(("+", "00")):
        text = _TRUNK.sub("", text)
    return _PUNCTUATION.sub("", text)


def to_canonical(text: str, country: str) -> str | None:
    """Return the E.164 form (``+3225550100``) of a number that a customer in a ``country`` (``be``)
    writes, in any spelling; the digits alone for an extension or a short number, ``None`` for anything
    else."""
    import phonenumbers

    digits = strip_punctuation(text)
    if not _NUMBER.fullmatch(digits):
        return None
    abroad = digits.startswith(("+", "00"))
    if not abroad and len(digits) < SHORT:
        return digits
    try:
        found = phonenumbers.parse(f"+{digits[2:]}" if digits.startswith("00") else digits, country.upper())
    except phonenumbers.NumberParseException:
        return digits
    valid = phonenumbers.is_valid_number(found)
    if valid or (phonenumbers.is_possible_number(found) and (abroad or digits.startswith("0"))):
        return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
    return digits


def dialled_numbers(text: str, country: str | None) -> tuple[str, ...]:
    """Return the numbers, as the digits of their E.164 forms, that somebody may mean who dials a text: the
    digits themselves, without an international prefix (``00``) and, from within a ``country`` (``be``), with
    its code in place of the prefix of national calls. The likeliest first; none for anything else, such as a
    text with a line break, which nobody dials."""
    import phonenumbers

    number = strip_punctuation(text)
    if _CONTROL.search(text) or not _NUMBER.fullmatch(number):
        return ()
    digits = number.removeprefix("+")
    if number.startswith("00"):
        return digits, digits[2:]
    if number.startswith("+") or country is None:
        return (digits,)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country.upper())
    # Where national calls begin with a zero, a number without one is another country's, or an extension.
    if not number.startswith("0") and (metadata is None or metadata.national_prefix == "0"):
        return (digits,)
    national = to_canonical(number, country)
    return (digits,) if national is None else tuple(dict.fromkeys((digits, national.removeprefix("+"))))


def shared_country(numbers: Iterable[str]) -> str | None:
    """Return the country (``be``) of numbers in E.164, with or without the plus; ``None`` if they are of
    several. Short numbers do not count."""
    import phonenumbers

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    digits = (number.removeprefix("+") for number in numbers)
    starts = {each[:3] for each in digits if len(each) > SHORT}
    # No country code is the beginning of another one.
    codes = {int(start[:size]) for start in starts for size in (1, 2, 3) if int(start[:size]) in regions}
    return str(regions[codes.pop()][0]).lower() if len(codes) == 1 else None


def ordinary_country(number: str) -> str | None:
    """Return the country (``be``) of an E.164 number that is called at an ordinary rate: fixed, mobile or
    over the internet. ``None`` for any other: premium, shared-cost, freephone, satellite, or invalid."""
    import phonenumbers

    kinds = phonenumbers.PhoneNumberType
    ordinary = (kinds.FIXED_LINE, kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE, kinds.VOIP)
    try:
        found = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    country = phonenumbers.region_code_for_number(found)
    if country is None or phonenumbers.number_type(found) not in ordinary:
        return None
    return str(country).lower()


def format_international(text: str) -> str:
    """Return a number with (unbreakable) spaces where its country puts them; other text stays as it is."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(text if text.startswith("+") else f"+{text}")
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_valid_number(parsed):
        return text
    spaced = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return str(spaced).replace(" ", "\u00a0")
