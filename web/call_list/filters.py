"""The call list's filter, parsed from the page's query arguments, and written back as such."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from recorder.catalogue.records import Cursor
from recorder.domain import phone_numbers
from recorder.features.call_list import rules

RECORDED = "recorded"
NOT_RECORDED = "not-recorded"
SHOW_VALUES: Final = (RECORDED, NOT_RECORDED)

TODAY = "today"
YESTERDAY = "yesterday"
LAST_7_DAYS = "7-days"
THIS_MONTH = "month"
LAST_MONTH = "last-month"
PRESETS: Final = (TODAY, YESTERDAY, LAST_7_DAYS, THIS_MONTH, LAST_MONTH)
OWN_RANGE = "range"

MINUTE = 60_000
LENGTHS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "under-1": (None, MINUTE),
    "1-to-5": (MINUTE, 5 * MINUTE),
    "5-to-20": (5 * MINUTE, 20 * MINUTE),
    "over-20": (20 * MINUTE, None),
    "over-60": (60 * MINUTE, None),
}
"""Lengths in milliseconds, by the code in the address."""

POSITIONS: Final = ("after", "before")
NOT_SAVED: Final = ("q",)


@dataclass(frozen=True, slots=True)
class CallFilter:
    """``typed`` is the text of the search field; ``preset`` is one of :data:`PRESETS`, or empty; ``first``
    and ``last`` are days in the customer's time zone, both inclusive, and only set without a preset.
    ``wrong`` names the arguments that were unreadable and therefore ignored; ``invalid_values`` has them as
    typed."""

    typed: str = ""
    preset: str = ""
    first: date | None = None
    last: date | None = None
    line: str = ""
    direction: str = ""
    length: str = ""
    consent: str = ""
    agreement: str = ""
    held: bool = False
    handed: bool = False
    noted: bool = False
    label: str = ""
    show: str = ""
    reason: str = ""
    after: Cursor | None = None
    before: Cursor | None = None
    wrong: frozenset[str] = frozenset()
    invalid_values: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        return bool(self.address())

    @property
    def number_of_filters(self) -> int:
        """How many filters are set, besides the text: a range of days counts once."""
        return len({name if name not in ("from", "to") else "when" for name in self.address()} - {"q"})

    def days(self, today: date) -> tuple[date | None, date | None]:
        """The first and the last day, both inclusive, seen from a day in the customer's time zone."""
        month = today.replace(day=1)
        before = month - timedelta(days=1)
        known = {
            TODAY: (today, today),
            YESTERDAY: (today - timedelta(days=1),) * 2,
            LAST_7_DAYS: (today - timedelta(days=6), today),
            THIS_MONTH: (month, today),
            LAST_MONTH: (before.replace(day=1), before),
        }
        return known.get(self.preset, (self.first, self.last))

    def query(
        self,
        tenant: str,
        zone: ZoneInfo,
        now: datetime,
        scope: frozenset[str] | None = None,
        user: str | None = None,
    ) -> rules.CallQuery:
        """What to search for, on behalf of a visitor (``user``) who may see the lines of a ``scope``
        (``None``: all)."""
        first, last = self.days(now.astimezone(zone).date())
        shortest, longest = LENGTHS.get(self.length, (None, None))
        return rules.CallQuery(
            tenant=tenant,
            text=rules.parse_text(self.typed),
            name=rules.parse_name(self.typed),
            words=rules.parse_words(self.typed),
            since=None if first is None else datetime.combine(first, time.min, zone),
            until=None if last is None else datetime.combine(last + timedelta(days=1), time.min, zone),
            line=self.line or None,
            scope=scope,
            direction=self.direction or None,
            shortest_ms=shortest,
            longest_ms=longest,
            consent=self.consent or None,
            agreement=self.agreement or None,
            held=self.held,
            handed_to=user if self.handed else None,
            noted=self.noted,
            label=self.label or None,
            recorded={RECORDED: True, NOT_RECORDED: False}.get(self.show),
            reason=self.reason or None,
        )

    def address(self) -> dict[str, str]:
        """The filter as query arguments, without the position in the list."""
        arguments = {
            "q": self.typed,
            "when": self.preset,
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
            "line": self.line,
            "direction": self.direction,
            "length": self.length,
            "consent": self.consent,
            "agreement": self.agreement,
            "held": "yes" if self.held else "",
            "handed": "yes" if self.handed else "",
            "noted": "yes" if self.noted else "",
            "label": self.label,
            "show": self.show,
            "reason": self.reason,
        }
        return {name: value for name, value in arguments.items() if value}

    def page_address(self) -> dict[str, str]:
        """The filter and the position in the list, as query arguments."""
        places = {"after": self.after, "before": self.before}
        return {name: place.encode() for name, place in places.items() if place} | self.address()

    def without(self, *names: str) -> dict[str, str]:
        """The query arguments without some of them."""
        return {name: value for name, value in self.address().items() if name not in names}

    def to_save(self) -> dict[str, str]:
        """The query arguments that a saved filter keeps: not what was typed."""
        return self.without(*NOT_SAVED)


def parse_filter(arguments: Mapping[str, str]) -> CallFilter:
    """Parse the query arguments.  Raises nothing: unreadable arguments are ignored and named in ``wrong``."""
    wrong: set[str] = set()

    def one_of(name: str, known: Collection[str]) -> str:
        value = arguments.get(name, "")
        if value and value not in known:
            wrong.add(name)
            return ""
        return value

    typed = arguments.get("q", "").strip()[: phone_numbers.LONGEST]
    if typed and rules.parse_text(typed) is None:
        wrong.add("q")
    days: dict[str, date | None] = {}
    for name in ("from", "to"):
        try:
            days[name] = _parse_day(arguments.get(name, ""))
        except ValueError:
            days[name] = None
            wrong.add(name)
    first, last = days["from"], days["to"]
    if first and last and last < first:
        first, last = last, first
    preset = arguments.get("when", "")
    if preset == OWN_RANGE or first or last:
        preset = ""
    elif preset and preset not in PRESETS:
        wrong.add("when")
        preset = ""
    positions = {name: _parse_position(arguments.get(name, ""), name, wrong) for name in POSITIONS}
    reason = arguments.get("reason", "").strip()[:60]
    show = one_of("show", SHOW_VALUES)
    found = CallFilter(
        typed="" if "q" in wrong else typed,
        preset=preset,
        first=first,
        last=last,
        line=arguments.get("line", "").strip()[:60],
        direction=one_of("direction", rules.DIRECTIONS),
        length=one_of("length", LENGTHS),
        consent=one_of("consent", rules.CONSENTS),
        agreement=one_of("agreement", rules.AGREEMENTS),
        held=arguments.get("held") == "yes",
        handed=arguments.get("handed") == "yes",
        noted=arguments.get("noted") == "yes",
        label=arguments.get("label", "").strip()[:60],
        show=NOT_RECORDED if reason else show,
        reason=reason,
        after=positions["after"],
        before=None if positions["after"] else positions["before"],
    )
    return replace(
        found, wrong=frozenset(wrong), invalid_values={name: arguments.get(name, "") for name in wrong}
    )


def _parse_position(text: str, name: str, wrong: set[str]) -> Cursor | None:
    try:
        return Cursor.decode(text) if text else None
    except ValueError:
        wrong.add(name)
        return None


def _parse_day(text: str) -> date | None:
    if not text:
        return None
    day = date.fromisoformat(text)
    if not 1970 <= day.year <= 9000:
        raise ValueError(f"no call has this date: {text!r}")
    return day
