"""The call list as CSV: a line for each call, with its time in the customer's time zone and in UTC."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

import structlog
from flask_babel import gettext as _

from recorder import csv_rows
from recorder.catalogue.records import LineRow
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.errors import AccordError
from recorder.fault_log import FaultLog
from recorder.features.call_list import service
from recorder.features.call_list.rules import CallQuery
from recorder.features.call_list.service import CallEntry
from web.contacts.names import colleague_name, contact_name, load_colleagues, load_names
from web.text import formats
from web.text.sentences import sentence, variant

BYTE_ORDER_MARK = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""

log = structlog.get_logger()


def stream(query: CallQuery, lines: Mapping[str, LineRow], zone: ZoneInfo, faults: FaultLog) -> Iterator[str]:
    """The file in pieces.  Between two of them other requests are served.  An error aborts the connection, so
    that nobody takes a part for the whole."""
    try:
        yield BYTE_ORDER_MARK + csv_rows.row(_heading(zone))
        for entries in service.all_calls(query, faults):
            load_names(each.row.external_party for each in entries)
            load_colleagues(one for each in entries if each.recording for one in each.recording.our_side)
            yield "".join(csv_rows.row(_values(each, lines, zone)) for each in entries)
            time.sleep(0)  # let other greenlets run
    except AccordError as error:
        log.warning("web.response_aborted", object="call list", error_id=error.error_id, error=error.message)
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _heading(zone: ZoneInfo) -> tuple[str, ...]:
    return (
        str(_("Time (%(zone)s)", zone=zone.key)), str(_("Time (UTC)")), str(_("Direction")),
        str(_("Other party")), str(_("Name")), str(_("Number")), str(_("Label of the number")),
        str(_("Colleague")), str(_("Length in seconds")),
        str(_("Recorded")), str(_("Why not recorded")), str(_("Announced")), str(_("Agreement to keep")),
        str(_("Kept for an open question")), str(_("Labels")), str(_("Notes")), str(_("Call")),
    )  # fmt: skip


def _values(entry: CallEntry, lines: Mapping[str, LineRow], zone: ZoneInfo) -> tuple[object, ...]:
    call, row = entry.recording, entry.row
    line = lines.get(row.line or "")
    return (
        row.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        to_iso(row.started_at),
        sentence("direction", row.direction),
        _party(row.external_party),
        contact_name(row.external_party),
        row.number,
        line.label if line else "",
        "" if call is None else "; ".join(map(_colleague, call.our_side)),
        "" if call is None else round(call.duration_ms / 1000),
        _yes_no(call is not None),
        "" if entry.missing is None else variant("not_recorded", entry.missing.reason, row.direction),
        "" if call is None else _yes_no(call.announced),
        "" if call is None else sentence("filter_agreement", call.agreement or "not-asked"),
        "" if call is None else _yes_no(entry.held),
        "; ".join(entry.labels),
        entry.notes or "",
        row.id,
    )


def _party(someone: Party | None) -> str:
    """A number as it is dialled, so that it can be compared; without one, what the list says."""
    return someone.value if someone is not None and someone.value else formats.party(someone)


def _colleague(someone: Party | None) -> str:
    """The colleague who has the extension today, or else the extension."""
    return colleague_name(someone) or ("" if someone is None else someone.value)


def _yes_no(value: object) -> str:
    return str(_("Yes") if value else _("No"))
