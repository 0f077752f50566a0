"""Telephone numbers as people write them: one canonical form for all spellings.

The library is imported where it is used: it takes as long as a whole command that only lists something. The
daemon imports it at once (``processes/daemon.py``)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from recorder.domain.line_policy import NUMBER
from recorder.errors import CatalogueError

LONGEST = 60
"""Maximum length of a text that is read as a number, in characters."""

SHORT = 7
"""Digits below which a number without a country code is an extension or a short number, and stays as it
is."""

LONGEST_NUMBER = 15
"""Digits of the longest number that there is (E.164)."""

_PUNCTUATION = re.compile(r"[\s()\[\]./\\'\u2019\u00b7\u2022\u2044\-\u2010-\u2015\u2212]")
_TRUNK = re.compile(r"\(\s*0\s*\)")
_NUMBER = re.compile(r"\+?[0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EVERYWHERE = frozenset({"112", "911"})
"""Emergency numbers that mobile telephones know in every country."""


class NumberKind(Enum):
    """What a written number is."""

    COMPLETE = "complete"
    """A number that exists, written in full."""
    ASSUMED = "assumed"
    """Its country or area was assumed, or no number of its country begins like that."""
    PREMIUM = "premium"
    """A number at a premium rate."""
    EXTENSION = "extension"
    """Digits that only a switch knows, or a short number."""
    TOO_SHORT = "too_short"
    """Fewer digits than any number of its country."""
    TOO_LONG = "too_long"
    """More digits than any number of its country."""
    EMERGENCY = "emergency"
    """An emergency number of the country."""


_IN_FULL = frozenset({NumberKind.COMPLETE, NumberKind.ASSUMED, NumberKind.PREMIUM})


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as it was understood. ``value`` is its E.164 form (``+3225550100``), or the digits as they
    were written for what has none."""

    kind: NumberKind
    value: str

    @property
    def is_international(self) -> bool:
        """Whether ``value`` is in E.164."""
        return self.kind in _IN_FULL


def strip_punctuation(text: str) -> str:
    """Return a number without readability marks: blanks of all kinds, brackets, dashes, dots, direction
    marks, ``tel:``, and the ``(0)`` that nobody dials. Other text stays as words."""
    text = unicodedata.normalize("NFKC", text[:LONGEST])
    text = "".join(each for each in text if unicodedata.category(each) != "Cf")
    text = text.strip().removeprefix("tel:").lstrip()
    if text.startswith(("+", "00")):
        text = _TRUNK.sub("", text)
    return _PUNCTUATION.sub("", text)


def read_number(text: str, country: str) -> WrittenNumber | None:
    """Return the number that somebody in a ``country`` (``be``; empty if it is not known) writes, in any
    spelling; ``None`` for anything else. The only reader of numbers: whatever people, tables and switches
    write is understood here."""
    import phonenumbers

    digits = strip_punctuation(text)
    if len(text) > LONGEST or not _NUMBER.fullmatch(digits):
        return None
    if _is_emergency(digits, country):
        return WrittenNumber(NumberKind.EMERGENCY, digits)
    abroad = digits.startswith(("+", "00"))
    if not abroad and len(digits) < SHORT and not digits.startswith("0"):
        return WrittenNumber(NumberKind.EXTENSION, digits)
    try:
        found = phonenumbers.parse(f"+{digits[2:]}" if digits.startswith("00") else digits, country.upper())
    except phonenumbers.NumberParseException as error:
        return WrittenNumber(_kind_of_unreadable(error, digits, abroad), digits)
    kind = _kind(found, digits, is_whole=abroad or digits.startswith("0"))
    if kind not in _IN_FULL:
        return WrittenNumber(kind, digits)
    return WrittenNumber(kind, phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))


def _kind(found: Any, digits: str, is_whole: bool) -> NumberKind:
    """What a number is. ``is_whole``: it was written with a country code or the prefix of national calls."""
    import phonenumbers

    if phonenumbers.is_valid_number(found):
        if phonenumbers.number_type(found) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
            return NumberKind.PREMIUM
        region = phonenumbers.PhoneMetadata.metadata_for_region(
            phonenumbers.region_code_for_number(found) or ""
        )
        whole = is_whole or digits.startswith(str(found.country_code))
        # Where national calls have no prefix, a number without one is whole.
        return NumberKind.COMPLETE if whole or not (region and region.national_prefix) else NumberKind.ASSUMED
    if not is_whole:
        return NumberKind.TOO_LONG if len(digits) > LONGEST_NUMBER else NumberKind.EXTENSION
    reasons = phonenumbers.ValidationResult
    match phonenumbers.is_possible_number_with_reason(found):
        case reasons.IS_POSSIBLE:
            return NumberKind.ASSUMED
        case reasons.TOO_LONG:
            return NumberKind.TOO_LONG
        case _:
            return NumberKind.TOO_SHORT


def _kind_of_unreadable(error: Any, digits: str, abroad: bool) -> NumberKind:
    """What digits are of which no number can be made."""
    if len(digits) > LONGEST_NUMBER:
        return NumberKind.TOO_LONG
    known_country = error.error_type != error.INVALID_COUNTRY_CODE
    return NumberKind.TOO_SHORT if abroad and known_country else NumberKind.EXTENSION


def _is_emergency(digits: str, country: str) -> bool:
    import phonenumbers

    if len(digits) >= SHORT:
        return False
    return digits in _EVERYWHERE or phonenumbers.is_emergency_number(digits, country.upper())


def to_canonical(text: str, country: str) -> str | None:
    """Return the E.164 form (``+3225550100``) of a number that a customer in a ``country`` (``be``)
    writes, in any spelling; the digits alone for an extension or a short number, ``None`` for anything
    else."""
    number = read_number(text, country)
    return None if number is None else number.value


def read_line_number(
    text: str, country: str, never_record: Iterable[str] = (), *, as_routed: bool = False
) -> WrittenNumber:
    """Return the number of a line to be made. ``never_record`` are the numbers that the operator excludes;
    ``as_routed``: the digits stay as they are, whatever number they are. Raises :class:`CatalogueError` for
    what can never be recorded: ``line.number`` (no number), ``line.number_length`` (no number of its country
    has so many digits), ``line.emergency``, ``line.never_record``."""
    number = read_number(text, country)
    value = text if as_routed or number is None else number.value
    is_unknown_abroad = number is not None and number.kind is NumberKind.EXTENSION and value.startswith("+")
    if number is None or not NUMBER.fullmatch(value) or (is_unknown_abroad and not as_routed):
        raise CatalogueError(
            "line.number",
            f"{text!r} is not a number",
            "2 to 15 digits, with or without a leading +; format the column as text in a spreadsheet",
        )
    if number.kind is NumberKind.EMERGENCY:
        raise CatalogueError(
            "line.emergency",
            f"{number.value} is an emergency number, which is never recorded",
            "leave it out",
        )
    if number.value in {to_canonical(each, country) for each in never_record}:
        raise CatalogueError(
            "line.never_record",
            f"{number.value} is on the never-record list",
            "take it off `[node] never_record` first",
        )
    if as_routed:
        return WrittenNumber(NumberKind.EXTENSION, value)
    if number.kind in (NumberKind.TOO_SHORT, NumberKind.TOO_LONG):
        raise _wrong_length(text, "few" if number.kind is NumberKind.TOO_SHORT else "many")
    return number


def _wrong_length(text: str, how_many: str) -> CatalogueError:
    return CatalogueError(
        "line.number_length",
        f"{text} has too {how_many} digits for a number of its country",
        "write the whole number, such as +32 2 555 01 00, or add --as-routed if the dialplan routes exactly "
        "these digits",
    )


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


def number_country(text: str, country: str) -> str | None:
    """Return the country (``be``) of a number, which a customer of a ``country`` writes; ``None`` for an
    extension, and for a number that belongs to no country, such as a satellite's."""
    import phonenumbers

    number = read_number(text, country)
    if number is None or not number.is_international:
        return None
    found = phonenumbers.parse(number.value, None)
    region = phonenumbers.region_code_for_number(found)
    region = region or phonenumbers.region_code_for_country_code(found.country_code or 0)
    return str(region).lower() if region.isalpha() and region != phonenumbers.UNKNOWN_REGION else None


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
