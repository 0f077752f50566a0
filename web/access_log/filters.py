"""The access log's filter, parsed from the page's query arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from recorder.auditlog.kinds import GROUPS
from recorder.features.access_log.rules import LogFilter, LogPosition
from web.text.access_log import kinds_of

LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class LogQuery:
    """``person`` and ``recording`` are ids, ``group`` is one of :data:`GROUPS` (empty: all); ``first`` and
    ``last`` are days in the customer's time zone, both inclusive; ``wrong`` names the arguments that were
    unreadable and therefore ignored."""

    person: str
    group: str
    recording: str
    first: date | None
    last: date | None
    after: LogPosition | None
    wrong: frozenset[str]

    @property
    def is_active(self) -> bool:
        return bool(self.person or self.group or self.recording or self.first or self.last)

    def to_filter(self, zone: ZoneInfo) -> LogFilter:
        """The filter, in UTC."""
        return LogFilter(
            person=self.person or None,
            kinds=kinds_of(self.group) if self.group else None,
            recording=self.recording or None,
            since=None if self.first is None else datetime.combine(self.first, time.min, zone),
            until=None
            if self.last is None
            else datetime.combine(self.last + timedelta(days=1), time.min, zone),
        )

    def address(self) -> dict[str, str]:
        """The filter as query arguments, without the position in the list."""
        arguments = {
            "person": self.person,
            "kind": self.group,
            "recording": self.recording,
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
        }
        return {name: value for name, value in arguments.items() if value}


def parse_query(arguments: Mapping[str, str]) -> LogQuery:
    """Parse the query arguments.  Raises nothing: unreadable arguments are ignored and named in ``wrong``."""
    wrong = set()
    days: dict[str, date | None] = {"from": None, "to": None}
    for name in days:
        try:
            days[name] = _parse_day(arguments.get(name, ""))
        except ValueError:
            wrong.add(name)
    group = arguments.get("kind", "")
    if group and group not in GROUPS:
        wrong.add("kind")
        group = ""
    after = None
    if position := arguments.get("after"):
        try:
            after = LogPosition.decode(position)
        except ValueError:
            wrong.add("after")
    person, recording = (arguments.get(name, "").strip()[:LONGEST_ID] for name in ("person", "recording"))
    return LogQuery(person, group, recording, days["from"], days["to"], after, frozenset(wrong))


def _parse_day(text: str) -> date | None:
    if not text:
        return None
    day = date.fromisoformat(text)
    if not 1970 <= day.year <= 9000:
        raise ValueError(f"no entry has this date: {text!r}")
    return day
