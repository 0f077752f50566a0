"""Which calls somebody wants to see: the list's filter, as it stands in the address."""

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
class Wishes:
    """``number`` is what was typed; ``first`` and ``last`` are days in the customer's zone, both
    included.  ``wrong`` names what could not be read and is left out."""

    number: str
    first: date | None
    last: date | None
    kind: str
    after: Cursor | None
    wrong: frozenset[str]

    @property
    def digits(self) -> str | None:
        """What is looked for in numbers: the digits, without an international or trunk prefix, so that
        ``0470 12 34 56`` finds ``+32470123456``, and so does what a page shows.  Of a SIP address all of
        it."""
        if "@" in self.number or self.number.startswith("sip:"):
            return self.number
        return re.sub(r"[^0-9]", "", phone_numbers.plain(self.number)).lstrip("0") or None

    @property
    def filtered(self) -> bool:
        return bool(self.number or self.first or self.last or self.kind != "all")

    def since(self, zone: ZoneInfo) -> datetime | None:
        """The first moment of the first day."""
        return None if self.first is None else datetime.combine(self.first, time.min, zone)

    def until(self, zone: ZoneInfo) -> datetime | None:
        """The moment after the last day."""
        return None if self.last is None else datetime.combine(self.last + timedelta(days=1), time.min, zone)

    def address(self) -> dict[str, str]:
        """The filter without the place in the list, as arguments of an address."""
        said = {
            "number": self.number,
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
            "show": self.kind if self.kind != "all" else "",
        }
        return {name: value for name, value in said.items() if value}


def read(arguments: Mapping[str, str]) -> Wishes:
    """What an address asks for.  Nothing in it is an error: what cannot be read is left out, and named."""
    wrong = set()
    number = arguments.get("number", "").strip()[: phone_numbers.LONGEST]
    if number and Wishes(number, None, None, "all", None, frozenset()).digits is None:
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
    return Wishes(number, days["from"], days["to"], kind if kind in KINDS else "all", after, frozenset(wrong))


def _day(text: str) -> date | None:
    if not text:
        return None
    day = date.fromisoformat(text)
    if not 1970 <= day.year <= 9000:
        raise ValueError(f"no day of a call: {text!r}")
    return day
