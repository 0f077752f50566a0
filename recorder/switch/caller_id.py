"""Who is on the other end, as far as a stranger's SIP message can be believed: not at all.

What a caller sends about themselves is shown and kept, and decided on in one case alone: it may say that
their call is never to be recorded (:func:`calling`).  It is cut to a length, cleaned of everything that is
not printable, and put into one of four kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import phonenumbers

E164: Final = "e164"
SIP: Final = "sip"
EXTENSION: Final = "extension"
WITHHELD: Final = "withheld"

LONGEST: Final = 128
"""Characters kept of a SIP address."""

_ANONYMOUS: Final = frozenset(
    {"", "anonymous", "restricted", "private", "unavailable", "unknown", "withheld", "0000000000"}
)
_DIGITS = re.compile(r"\+?[0-9]{1,20}")
_EXTENSION = re.compile(r"[A-Za-z0-9._-]{1,32}")
_SEPARATORS = str.maketrans("", "", " ()-./")


@dataclass(frozen=True, slots=True)
class Caller:
    """``kind`` is ``e164`` (``value`` like ``+3225551234``), ``sip`` (``sip:user@host``), ``extension``
    (digits or a name that means something in this switch alone) or ``withheld`` (``value`` empty)."""

    kind: str
    value: str


NOBODY: Final = Caller(WITHHELD, "")


def caller(headers: Mapping[str, str], region: str | None = None) -> Caller:
    """The calling party from a channel's data (``connect``) or event.

    ``region`` (``BE``) is where a number without a country code is from; without it such a number stays
    an ``extension``, because nobody knows what it would be in E.164.
    """
    if headers.get("Caller-Privacy-Hide-Number", "false").lower() == "true":
        return NOBODY
    user = headers.get("Caller-Caller-ID-Number", "")
    return party(user, headers.get("variable_sip_from_host", ""), region)


def outward(headers: Mapping[str, str]) -> bool:
    """Whether this is the callee's leg of an outbound call, by the dialplan's word."""
    return headers.get("variable_accord_direction") == "outbound"


def called(headers: Mapping[str, str], region: str | None = None) -> Caller:
    """Whom an outbound call goes to, by the dialplan's word."""
    return party(headers.get("variable_accord_callee", ""), "", region)


def from_line(headers: Mapping[str, str], region: str | None = None) -> Caller:
    """Who makes an outbound call, by the dialplan's word."""
    return party(headers.get("variable_accord_caller", ""), "", region)


def outside(headers: Mapping[str, str], region: str | None = None) -> Caller:
    """The outside party of a call: who calls, or on an outbound one whom it goes to."""
    return called(headers, region) if outward(headers) else caller(headers, region)


def calling(
    headers: Mapping[str, str], region: str | None = None, name: str = "Caller-Caller-ID-Number"
) -> frozenset[str]:
    """The calling number, for the never-record list: as it was sent, and with its country's code.  Also of
    somebody who withholds it, for the list is to protect them.  ``name`` is what tells it."""
    sent = clean(headers.get(name, ""), LONGEST)
    return frozenset({sent.translate(_SEPARATORS), party(sent, "", region).value} - {""})


def other_party(headers: Mapping[str, str], region: str | None = None) -> Caller:
    """Whom the channel of a CHANNEL_BRIDGE was connected with, by the switch's own word."""
    return _of_leg(headers, "Other-Leg", region)


def own_party(headers: Mapping[str, str], region: str | None = None) -> Caller:
    """Who is on an inside leg: the number that it was called by, or that it calls from."""
    return _of_leg(headers, "Caller", region)


def _of_leg(headers: Mapping[str, str], prefix: str, region: str | None) -> Caller:
    called = headers.get(f"{prefix}-Direction", "outbound") != "inbound"
    number = "Destination-Number" if called else "Caller-ID-Number"
    return party(headers.get(f"{prefix}-{number}", ""), "", region)


def party(user: str, host: str = "", region: str | None = None) -> Caller:
    """One party by its user part and, for those that are no number, its host.  Never raises."""
    user = clean(user, LONGEST)
    if user.lower() in _ANONYMOUS:
        return NOBODY
    digits = user.translate(_SEPARATORS)
    if _DIGITS.fullmatch(digits):
        return _number(digits, region)
    if _EXTENSION.fullmatch(user) and not host:
        return Caller(EXTENSION, user)
    address = f"sip:{user}@{clean(host, LONGEST)}" if host else f"sip:{user}"
    return Caller(SIP, address[:LONGEST])


def clean(text: str, longest: int) -> str:
    """Printable characters only, at most that many.  Everything else (control characters, line and
    direction marks, what could not be decoded) is left out."""
    kept = "".join(character for character in text[: 4 * longest] if character.isprintable())
    return kept.replace("\ufffd", "").strip()[:longest]


def _number(digits: str, region: str | None) -> Caller:
    international = "+" + digits[2:] if digits.startswith("00") else digits
    try:
        number = phonenumbers.parse(international, None if international.startswith("+") else region)
    except phonenumbers.NumberParseException:
        return Caller(EXTENSION, digits)
    if not phonenumbers.is_possible_number(number):
        return Caller(EXTENSION, digits)
    return Caller(E164, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
