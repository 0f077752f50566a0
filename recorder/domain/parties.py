"""Parties of a call: who is at either end.

A number or address may come from a stranger's SIP message. It is shown and kept, cut to a length and cleaned
of everything that is not printable, but never trusted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from recorder.domain import phone_numbers
from recorder.errors import CatalogueError

E164: Final = "e164"
SIP: Final = "sip"
EXTENSION: Final = "extension"
WITHHELD: Final = "withheld"

LONGEST: Final = 128
"""Maximum length of a SIP address, in characters."""

LONGEST_NAME: Final = 60
"""Maximum length of the name that a caller states, in characters."""

MOST_EXTENSIONS: Final = 10
"""Extensions of one colleague."""

_ANONYMOUS: Final = frozenset(
    {"", "anonymous", "restricted", "private", "unavailable", "unknown", "withheld", "0000000000"}
)
_LONGEST_DIGITS: Final = 20
"""Digits of a caller that count as a number; more of them, whoever wrote them, are a SIP address."""

_SEPARATOR: Final = re.compile(r"[,;\n]")
"""Between several extensions in one text."""

_EXTENSION = re.compile(r"[A-Za-z0-9._-]{1,32}")


@dataclass(frozen=True, slots=True)
class Party:
    """One party of a call. ``kind`` is ``e164`` (``value`` like ``+3225551234``), ``sip``
    (``sip:user@host``), ``extension`` (digits or a name that only this switch knows) or ``withheld``
    (``value`` is empty)."""

    kind: str
    value: str


NOBODY: Final = Party(WITHHELD, "")


def parse_party(user: str, host: str = "", region: str | None = None) -> Party:
    """Return the party for a SIP user part and, unless it is a number, its host. Never raises.

    ``region`` (``BE``) is the country of a number without a country code. Without a region such a number
    stays an ``extension``, because its E.164 form is unknown."""
    user = clean(user, LONGEST)
    if user.lower() in _ANONYMOUS:
        return NOBODY
    number = phone_numbers.read_number(user, region or "")
    if number is not None and len(number.value) <= _LONGEST_DIGITS:
        return Party(E164 if number.is_international else EXTENSION, number.value)
    if _EXTENSION.fullmatch(user) and not host:
        return Party(EXTENSION, user)
    address = f"sip:{user}@{clean(host, LONGEST)}" if host else f"sip:{user}"
    return Party(SIP, address[:LONGEST])


def read_extensions(text: str, country: str) -> tuple[str, ...]:
    """The extensions in a text, separated by commas, as calls have them in a ``country`` (``be``). Raises
    :class:`CatalogueError` (``extension.number``, ``extension.too_many``)."""
    found = []
    for each in filter(None, map(str.strip, _SEPARATOR.split(text))):
        party = parse_party(each, region=country)
        if party.kind not in (E164, EXTENSION):
            raise CatalogueError(
                "extension.number", f"{each!r} is no extension", "such as 2001; several with commas between"
            )
        found.append(party.value)
    if len(found) > MOST_EXTENSIONS:
        raise CatalogueError(
            "extension.too_many", f"a person has at most {MOST_EXTENSIONS} extensions", "leave some out"
        )
    return tuple(dict.fromkeys(found))


def clean_name(text: str, number: str) -> str:
    """Return the name that a caller states with a ``number``, as a suggestion for whoever names the number:
    in composed form (NFC), with single blanks, cut and cleaned as :func:`clean` does. Empty if it names
    nobody: without a letter, the number again, or a word for an unknown caller."""
    words = (clean(word, LONGEST_NAME) for word in text[: 4 * LONGEST_NAME].split())
    name = unicodedata.normalize("NFC", " ".join(filter(None, words)))[:LONGEST_NAME].strip()
    is_name = any(map(str.isalpha, name)) and name.casefold() not in _ANONYMOUS | {number.casefold()}
    return name if is_name else ""


def party_data(party: Party | None) -> dict[str, str]:
    """Return the party as the data of a marker."""
    return {} if party is None else {"party": party.kind, "value": party.value}


def party_of(data: Mapping[str, str]) -> Party | None:
    """Return the party in the data of a marker, ``None`` where it names none."""
    return Party(data["party"], data["value"]) if {"party", "value"} <= set(data) else None


def clean(text: str, longest: int) -> str:
    """Return the printable characters of ``text``, at most ``longest`` of them. Control characters, line
    separators, direction marks and replacement characters are dropped."""
    printable = "".join(character for character in text[: 4 * longest] if character.isprintable())
    return printable.replace("\ufffd", "").strip()[:longest]
