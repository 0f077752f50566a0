"""The access log as CSV: one line per entry, with its time in the customer's time zone and in UTC."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import structlog
from flask_babel import gettext as _

from recorder import csv_rows
from recorder.catalogue import queries
from recorder.clock import to_iso
from recorder.errors import AccordError
from recorder.features.access_log import service
from recorder.features.access_log.rules import CHANGED, ERASED, LogEntry, LogFilter
from web.text import access_log as sentences
from web.text import formats, labels
from web.text.log_details import LogNames, details

BYTE_ORDER_MARK = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""

log = structlog.get_logger()


def log_names(tenant: str) -> LogNames:
    """What a customer's lines and announcements are called."""
    lines = {row.id: formats.line_name(row.number, row.label) for row in queries.lines(tenant, ended=True)}
    announcements = {
        row.id: f"{row.name} ({row.language}, {row.version})" for row in queries.announcements(tenant)
    }
    return LogNames(lines, announcements)


def stream(tenant: str, criteria: LogFilter, zone: ZoneInfo) -> Iterator[str]:
    """The file in pieces.  Between two of them other requests are served.  An error aborts the connection, so
    that nobody takes a part for the whole."""
    try:
        yield BYTE_ORDER_MARK + csv_rows.row(_heading(zone))
        names = log_names(tenant)
        for entries in service.all_entries(tenant, criteria):
            yield "".join(csv_rows.row(_values(each, zone, names)) for each in entries)
            time.sleep(0)  # let other greenlets run
    except AccordError as error:
        log.warning("web.response_aborted", object="access log", error_id=error.error_id, error=error.message)
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _heading(zone: ZoneInfo) -> tuple[str, ...]:
    return (
        str(_("Entry")), str(_("Time (%(zone)s)", zone=zone.key)), str(_("Time (UTC)")), str(_("Kind")),
        str(_("Person")), str(_("Event")), str(_("Details")), str(_("Purpose")),
        str(_("Seconds heard")), str(_("Recording")), str(_("State")), str(_("Leaf hash")),
    )  # fmt: skip


def _values(entry: LogEntry, zone: ZoneInfo, names: LogNames) -> tuple[object, ...]:
    text = "; ".join(
        f"{each.label}: " + (each.value if each.before is None else f"{each.before} → {each.value}")
        for each in details(entry, names)
    )
    states = {ERASED: _("erased"), CHANGED: _("changed afterwards")}
    return (
        entry.number,
        entry.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        to_iso(entry.at),
        sentences.group(entry.kind),
        "" if entry.who is None else sentences.person(entry.who),
        sentences.describe(entry),
        text,
        labels.purpose(entry.purpose) if entry.purpose else "",
        "" if entry.heard_ms is None else round(entry.heard_ms / 1000),
        entry.recording or "",
        str(states.get(entry.state, "")),
        entry.leaf_hash,
    )
