"""The call list's filter, parsed from the page's query arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from recorder.catalogue.records import Cursor
from recorder.domain import phone_numbers

KINDS = ("all", "recorded", "not-recorded")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """``number`` as typed; ``first`` and ``last`` are days in the customer's time zone, both inclusive;
    ``wrong`` names the arguments that were unreadable and therefore ignored."""

    number: str
    first: date | None
    last: date | None
    kind: str
    after: Cursor | None
    wrong: frozenset[str]

    @property
    def digits(self) -> str | None:
        """The digits to search numbers for, without an international or trunk prefix, so that
        ``0470 12 34 56`` finds ``+32470123456``, and a number can be pasted from a page.  A SIP address is
        searched for whole."""
        if "@" in self.number or self.number.startswith("sip:"):
            return self.number
        return re.sub(r"[^0-9]", "", phone_numbers.strip_punctuation(self.number)).lstrip("0") or None

    @property
    def is_active(self) -> bool:
        return bool(self.number or self.first or self.last or self.kind != "all")

    def since(self, zone: ZoneInfo) -> datetime | None:
        """Start of the first day."""
        return None if self.first is None else datetime.combine(self.first, time.min, zone)

    def until(self, zone: ZoneInfo) -> datetime | None:
        """End of the last day, exclusive."""
        return None if self.last is None else datetime.combine(self.last + timedelta(days=1), time.min, zone)

    def address(self) -> dict[str, str]:
        """The filter as query arguments, without the position in the list."""
        arguments = {
            "number": self.number,
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
            "show": self.kind if self.kind != "all" else "",
        }
        return {name: value for name, value in arguments.items() if value}


def parse_filter(arguments: Mapping[str, str]) -> CallFilter:
    """Parse the query arguments.  Raises nothing: unreadable arguments are ignored and named in ``wrong``."""
    wrong = set()
    number = arguments.get("number", "").strip()[: phone_numbers.LONGEST]
    if number and CallFilter(number, None, None, "all", None, frozenset()).digits is None:
        wrong.add("number")
        number = ""
    days: dict[str, date | None] = {}
    for name in ("from", "to"):
        try:
            days[name] = _parse_day(arguments.get(name, ""))
        except ValueError:
            days[name] = None
            wrong.add(name)
    after = None
    if position := arguments.get("after"):
        try:
            after = Cursor.decode(position)
        except ValueError:
            wrong.add("after")
    kind = arguments.get("show", "all")
    return CallFilter(
        number, days["from"], days["to"], kind if kind in KINDS else "all", after, frozenset(wrong)
    )


def _parse_day(text: str) -> date | None:
    if not text:
        return None
    day = date.fromisoformat(text)
    if not 1970 <= day.year <= 9000:
        raise ValueError(f"no call has this date: {text!r}")
    return day
