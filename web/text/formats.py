"""How numbers, lengths and times are written in the reader's language."""

from __future__ import annotations

from datetime import date as calendar_date
from datetime import datetime, timedelta

from babel.units import format_unit
from flask_babel import (
    format_date,
    format_decimal,
    format_percent,
    format_time,
    format_timedelta,
    get_locale,
    ngettext,
)
from flask_babel import gettext as _
from markupsafe import Markup

from recorder.domain import phone_numbers
from recorder.domain.parties import Party
from recorder.domain.written_dates import write_first

_SECOND = timedelta(seconds=1)


def party(someone: Party | None) -> str:
    """Who is on a leg, as people write it."""
    if someone is None:
        return str(_("Unknown"))
    if someone.kind == "withheld" or not someone.value:
        return str(_("Withheld number"))
    if someone.kind == "extension":
        return str(_("Extension %(number)s", number=someone.value))
    return number(someone.value)


def titled(title: object, text: object) -> str:
    """A text behind its title, with the colon as the reader's language writes it."""
    return str(_("%(title)s: %(text)s", title=title, text=text))


def number(text: str) -> str:
    """A number with spaces where its country puts them; what is none stays as it is."""
    return phone_numbers.format_international(text)


def line_name(text: str, label: str) -> str:
    """A number of the customer's, with its label if it has one."""
    return f"{number(text)} ({label})" if label else number(text)


def duration(milliseconds: int) -> str:
    """A duration in words, to the second."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = []
    if hours:
        parts.append(ngettext("%(num)d hour", "%(num)d hours", hours))
    if minutes:
        parts.append(ngettext("%(num)d minute", "%(num)d minutes", minutes))
    if seconds and not hours:
        parts.append(ngettext("%(num)d second", "%(num)d seconds", seconds))
    return " ".join(parts) or str(_("less than a second"))


def milliseconds(begin: datetime, end: datetime) -> int:
    """The time between two moments; never less than nothing, as two clocks may have written them."""
    return max(0, (end - begin) // timedelta(milliseconds=1))


def clock(milliseconds: int) -> str:
    """A place in a recording, ``1:02:03`` or ``2:03``."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def day(at: datetime) -> str:
    """A date with its weekday, as a heading."""
    text = _date_text(at, "full")
    return text[:1].upper() + text[1:]


def date(at: calendar_date) -> str:
    """A day, or the day of a time in the reader's zone."""
    return _date_text(at, "long")


def short_date(at: calendar_date) -> str:
    return _date_text(at, "medium")


def _date_text(at: calendar_date, pattern: str) -> str:
    return write_first(str(format_date(at, pattern)), str(get_locale() or "en"))


def time(at: datetime) -> str:
    return str(format_time(at, "short"))


def moment(at: datetime) -> str:
    """Date and time."""
    return f"{date(at)}, {time(at)}"


def age(at: datetime, now: datetime) -> str:
    """How long ago a moment was: "40 minutes ago"."""
    return str(format_timedelta(min(at - now, -_SECOND), granularity="minute", add_direction=True))


def time_tag(at: datetime, text: str) -> Markup:
    """A time as people read it, with the exact one for programs."""
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), text)


def days(number: int) -> str:
    """A keeping time."""
    return str(ngettext("%(num)d day", "%(num)d days", number))


def count(number: int) -> str:
    """A number of things, with the separators of the reader's language."""
    return str(format_decimal(number))


def percent(share: float) -> str:
    """A share from 0 to 1, in whole percent."""
    return str(format_percent(share))


def size(length: int) -> str:
    """A length in bytes, as people read it."""
    units = (("gigabyte", 10**9), ("megabyte", 10**6), ("kilobyte", 10**3))
    unit, bytes_ = next((each for each in units if length >= each[1]), units[-1])
    number = round(length / bytes_, 1)
    return str(format_unit(number, f"digital-{unit}", length="short", locale=get_locale() or "en"))
