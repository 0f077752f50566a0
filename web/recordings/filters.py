"""The filter of the list of calls, as it stands in the page's address."""

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
    """``number`` as it was typed; ``first`` and ``last`` are days in the customer's time zone, both included;
    ``wrong`` names the arguments that could not be read and were ignored."""

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
    def filtered(self) -> bool:
        return bool(self.number or self.first or self.last or self.kind != "all")

    def since(self, zone: ZoneInfo) -> datetime | None:
        """When the first day begins."""
        return None if self.first is None else datetime.combine(self.first, time.min, zone)

    def until(self, zone: ZoneInfo) -> datetime | None:
        """When the day after the last begins."""
        return None if self.last is None else datetime.combine(self.last + timedelta(days=1), time.min, zone)

    def address(self) -> dict[str, str]:
        """The filter as arguments of an address, without the place in the list."""
        said = {
            "number": self.number,
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
            "show": self.kind if self.kind != "all" else "",
        }
        return {name: value for name, value in said.items() if value}


def read(arguments: Mapping[str, str]) -> CallFilter:
    """The filter of an address.  Raises nothing: an argument that cannot be read is ignored, and named in
    ``wrong``."""
    wrong = set()
    number = arguments.get("number", "").strip()[: phone_numbers.LONGEST]
    if number and CallFilter(number, None, None, "all", None, frozenset()).digits is None:
        wrong.add("number")
        number = ""
    days: dict[str, date | None] = {}
    for name in ("from", "to"):
        try:
            days[name] = _day(arguments.get(name, ""))
        except ValueError:
            days[name] = None
            wrong.add(name)
    after = None
    if place := arguments.get("after"):
        try:
            after = Cursor.decode(place)
        except ValueError:
            wrong.add("after")
    kind = arguments.get("show", "all")
    return CallFilter(
        number, days["from"], days["to"], kind if kind in KINDS else "all", after, frozenset(wrong)
    )


def _day(text: str) -> date | None:
    if not text:
        return None
    day = date.fromisoformat(text)
    if not 1970 <= day.year <= 9000:
        raise ValueError(f"no day of a call: {text!r}")
    return day
