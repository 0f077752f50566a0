"""The rules of subject requests: terms, deadlines, numbers and texts."""

from __future__ import annotations

import calendar
import hashlib
from datetime import date, datetime, timedelta
from typing import Final

from recorder.domain import phone_numbers, time_zones
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import SubjectRequestError

CODE: Final = "code"

PEOPLE: Final = "people"

VOUCHERS: Final = (ADMIN, CUSTOMER)
"""Roles that may vouch for a person: an auditor only reviews others."""

TAKEN_BACK: Final = "taken_back"

DECLINED: Final = "declined"

CLOSED_HOW: Final = ("answered", "not_proved", TAKEN_BACK)
"""How a request ends: it was answered, its number was not verified, or it was withdrawn. A proposal to listen
together can be declined, too."""

RECEIVED: Final = "subject_request.received"

EXTENDED: Final = "subject_request.extended"

VOUCHED: Final = "subject_request.vouched"

PROVED: Final = "subject_request.verified"

CLOSED: Final = "subject_request.closed"

EXPORTED: Final = "subject_request.exported"

MONTHS: Final = 1
"""From receipt."""

EXTENDED_MONTHS: Final = 3
"""From receipt: one month, and two further ones."""

WAIT: Final = timedelta(days=3)
"""How long what cannot be undone waits, if a person asked for it on the page of their own call: until then
they can take it back."""

MAX_STATEMENT: Final = 500

SALT_BYTES: Final = 32


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or that month's last day if it has none such (Regulation 1182/71,
    art. 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def normalise_number(text: str, country: str) -> str:
    """A number as people write it, in E.164. Raises :class:`SubjectRequestError`
    (``subject_request.number``)."""
    number = phone_numbers.read_number(text, country)
    if number is None or not number.is_international:
        raise SubjectRequestError(
            "subject_request.number", "this is not a telephone number", "write it as +32 470 12 34 56"
        )
    return number.value


def local_day(time_zone: str, now: datetime) -> date:
    """The date in a customer's time zone."""
    return now.astimezone(time_zones.display_zone(time_zone)).date()


def check_sentence(text: str) -> str:
    """A text that a person wrote, with single spaces. Raises :class:`SubjectRequestError`
    (``subject_request.statement``)."""
    words = " ".join(text.split())
    if not words or len(words) > MAX_STATEMENT or not words.isprintable():
        raise SubjectRequestError(
            "subject_request.statement",
            f"the statement must have 1 to {MAX_STATEMENT} printable characters",
            "shorten or rewrite it",
        )
    return words


def digest(text: str) -> str:
    """What the log contains in place of a text: its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()
