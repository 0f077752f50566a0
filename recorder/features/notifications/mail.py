"""Mail about notifications: one for each admin and kind, which lists all that there is to tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from babel.dates import format_datetime

from recorder.catalogue.records import TenantRow, UserRow
from recorder.domain import phone_numbers, time_zones
from recorder.domain.written_dates import write_first
from recorder.features.notifications.rules import NOT_RECORDED, Notification
from recorder.features.notifications.sentences import explain_cause, phrase
from recorder.identity.account_mail import LOCALES
from recorder.mail.message import MailMessage, MailSection, one_line

AGAIN: Final = "recorded_again"
"""The kind of a mail that only tells of lines that are recorded again."""

MOST_ROWS: Final = 50
"""Lines that are listed for one cause."""

PATH: Final = "/notifications"

LineNames = Mapping[str, tuple[str, str]]
"""Numbers and labels, by a line's id."""


def compose_mail(
    person: UserRow, tenant: TenantRow, kind: str, rows: Sequence[Notification], lines: LineNames
) -> MailMessage:
    """The mail to one admin about notifications of a kind. It names no call and nobody who called."""
    rows = sorted(rows, key=lambda row: (row.since, _number(row, lines)))
    again = kind == NOT_RECORDED and all(row.outcome is not None for row in rows)
    rows_with_number = [row for row in rows if row.outcome is None] or rows
    numbers = dict.fromkeys(_number(row, lines) for row in rows_with_number if row.line is not None)
    values = {"name": person.name, "customer": tenant.name, "numbers": ", ".join(numbers)}
    return MailMessage(
        AGAIN if again else kind,
        person.language,
        values,
        PATH,
        sections=_sections(rows, person, tenant, lines),
    )


def _sections(
    rows: Sequence[Notification], person: UserRow, tenant: TenantRow, lines: LineNames
) -> tuple[MailSection, ...]:
    language, found = person.language, []
    for title, some in _grouped(rows, language, tenant.time_zone).items():
        listed = [_line(row, lines, language, tenant.time_zone) for row in some if row.line is not None]
        if len(listed) > MOST_ROWS:
            more = phrase("more", language, count=str(len(listed) - MOST_ROWS))
            listed = [*listed[:MOST_ROWS], more]
        found.append(MailSection(title, tuple(listed)))
    return tuple(found)


def _grouped(rows: Iterable[Notification], language: str, time_zone: str) -> dict[str, list[Notification]]:
    """Notifications by the sentences that they have in common, what is open first."""
    found: dict[str, list[Notification]] = {}
    for row in sorted(rows, key=lambda row: row.outcome is not None):
        if row.outcome is None or row.kind != NOT_RECORDED:
            words = explain_cause(row.cause, row.data, language, time_zone)
            title = f"{words.why} {words.what_to_do}"
        else:
            title = phrase(row.outcome, language)
        found.setdefault(title, []).append(row)
    return found


def _line(row: Notification, lines: LineNames, language: str, time_zone: str) -> str:
    values = {"number": _number(row, lines), "since": _moment(row.since, language, time_zone)}
    if row.ended_at is None:
        return phrase("open", language, **values)
    if row.outcome is None:
        return phrase("over", language, **values)
    return phrase("ended", language, **values, ended=_moment(row.ended_at, language, time_zone))


def _number(row: Notification, lines: LineNames) -> str:
    number, label = lines.get(str(row.line), ("–", ""))
    spaced = phone_numbers.format_international(number)
    return f"{spaced} ({one_line(label)})" if label else spaced


def _moment(at: datetime, language: str, time_zone: str) -> str:
    zone, locale = time_zones.display_zone(time_zone), LOCALES.get(language, language)
    return write_first(format_datetime(at, "d MMMM yyyy, HH:mm", tzinfo=zone, locale=locale), language)
