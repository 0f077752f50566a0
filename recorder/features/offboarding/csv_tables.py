"""A departing customer's CSV tables: numbers, retention limits, subject requests, names of
numbers, and unrecorded calls.

All but the last are fixed when the handover begins.  Unrecorded calls are read on request; the row of one
that was erased since consists of spaces, like that of an erased recording (``documents.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from recorder import csv_rows
from recorder.catalogue import queries, subject_request_queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import Cursor, NotRecordedRow
from recorder.catalogue.tables.contact import ContactTable
from recorder.catalogue.tables.identity import UserTable
from recorder.clock import to_iso
from recorder.features.offboarding.documents import ROWS
from recorder.lifecycle import limits
from recorder.seal.revocation import Trust

CallLength = tuple[str, int]
"""An unrecorded call: its id, and its row's length in bytes."""

CALLS: Final = ("call", "began_at", "ended_at", "direction", "number", "external_party", "reason")


def fixed_tables(tenant: str, trust: Trust) -> dict[str, str]:
    """The fixed tables, by file name."""
    return {
        "tables/numbers.csv": _table(
            ("line", "number", "label", "since", "until", "announcement", "mode"),
            (
                (each.id, each.number, each.label, to_iso(each.since), _moment(each.until),
                 each.announcement, each.mode)
                for each in queries.lines(tenant, ended=True)
            ),
        ),
        "tables/keeping.csv": _table(
            ("purpose", "line", "keep_days", "since", "until", "covers_consents"),
            (
                (each.purpose or "", each.line or "", each.keep_days, to_iso(each.since), _moment(each.until),
                 "yes" if each.covers_consents else "no")
                for each in limits.limits_of(tenant, trust)
            ),
        ),
        "tables/requests.csv": _table(
            ("request", "number", "wants", "received_on", "due_on", "extension_reason", "verified_at",
             "verified_how",
             "closed_at", "closed_how"),
            (
                (each.id, each.number, each.wants, each.received_on, each.due_on, each.extension_reason or "",
                 _moment(each.verified_at), each.verified_how or "", _moment(each.closed_at),
                 each.closed_how or "")
                for each in subject_request_queries.requests(tenant)
            ),
        ),
        "tables/contacts.csv": _table(("number", "name", "written_by", "written_at"), _contacts(tenant)),
    }  # fmt: skip


def _contacts(tenant: str) -> list[tuple[str, str, str, str]]:
    """The names that the customer's people gave numbers."""
    mine = (ContactTable.tenant == tenant) & ContactTable.number.is_null(False)
    with connected():
        rows = ContactTable.select(ContactTable, UserTable.id, UserTable.name).join(UserTable).where(mine)
        return [
            (str(row.number), row.name, row.user.name, to_iso(row.written_at))
            for row in rows.order_by(ContactTable.number)
        ]


def call_tables(tenant: str) -> Iterator[tuple[int, list[CallLength]]]:
    """The unrecorded calls, latest first, in parts: each part's length in bytes, and its rows."""
    every = _every(tenant)
    while part := list(islice(every, ROWS)):
        rows = [(each.id, len(_call(each))) for each in part]
        yield len(_head(CALLS)) + sum(length for _, length in rows), rows


def call_table(tenant: str, rows: Sequence[CallLength]) -> bytes:
    """One part."""
    rows_by_id = queries.not_recorded_by_id(tenant, [name for name, _ in rows])
    lines = [_head(CALLS)]
    for name, length in rows:
        line = _call(rows_by_id[name]) if name in rows_by_id else b""
        lines.append(line if len(line) == length else b" " * (length - 1) + b"\n")
    return b"".join(lines)


def _every(tenant: str) -> Iterator[NotRecordedRow]:
    after: Cursor | None = None
    while True:
        page = queries.not_recorded(tenant, after=after, limit=ROWS)
        yield from page.rows
        if (after := page.more) is None:
            return


def _call(row: NotRecordedRow) -> bytes:
    return csv_rows.row(
        (row.id, to_iso(row.started_at), to_iso(row.ended_at), row.direction, row.number,
         row.external_party.value,
         row.reason)
    ).encode()  # fmt: skip


def _table(columns: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> str:
    return csv_rows.row(columns) + "".join(map(csv_rows.row, rows))


def _head(columns: tuple[str, ...]) -> bytes:
    return csv_rows.row(columns).encode()


def _moment(at: Any) -> str:
    return "" if at is None else to_iso(at)
