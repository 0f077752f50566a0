"""Subject requests, by their rows.

The rows decide nothing: the register compares each with the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from recorder.catalogue.database import connected
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.subject_request import SubjectRequestTable

COPY: Final = "copy"
ERASURE: Final = "erasure"
BOTH: Final = "both"
WITHDRAWAL: Final = "withdrawal"
"""That a consent ends, which only the person of a call asks for, on the page of that call."""
LISTENING: Final = "listening"
"""That the customer listens to the call together with its person, who proposes it on the same page."""
WANTS: Final = (COPY, ERASURE, BOTH)
COPIES: Final = (COPY, BOTH)
ERASES: Final = (ERASURE, BOTH)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A subject request. ``received_on`` and ``due_on`` are days in the customer's time zone;
    ``extension_reason`` is the reason for an extension; ``proved_…`` is set once the number was shown to be
    the person's; ``closed_how`` is set with ``closed_at``; ``exported_at`` is the time of the last copy. If
    two users vouch for the person, ``vouched_…`` is the first and ``proved_…`` the second. ``recording``: it
    is about that one alone, as the person asked on the page of their own call."""

    id: str
    tenant: str
    number: str
    wants: str
    language: str
    received_on: date
    due_on: date
    entered_at: datetime
    entered_kind: str
    entered_by: str | None
    extension_reason: str | None
    verified_at: datetime | None
    verified_how: str | None
    verified_by: str | None
    verified_statement: str | None
    closed_at: datetime | None
    closed_how: str | None
    exported_at: datetime | None
    vouched_at: datetime | None = None
    vouched_by: str | None = None
    vouched_statement: str | None = None
    recording: str | None = None

    def overdue(self, today: date) -> bool:
        """Whether it is open after its due day."""
        return self.closed_at is None and today > self.due_on

    @property
    def open(self) -> bool:
        return self.closed_at is None

    @property
    def wants_copy(self) -> bool:
        return self.wants in COPIES

    @property
    def wants_erasure(self) -> bool:
        return self.wants in ERASES


def requests(tenant: str | None = None) -> tuple[RequestRow, ...]:
    """A customer's requests (``None``: those of all customers, for the operator): open ones by due day, then
    closed ones, latest first."""
    with connected():
        query = SubjectRequestTable.select()
        if tenant is not None:
            query = query.where(SubjectRequestTable.tenant_id == tenant)
        rows = [
            request_row(row) for row in query.order_by(SubjectRequestTable.due_on, SubjectRequestTable.id)
        ]
    closed = [row for row in rows if not row.open]
    return (*(row for row in rows if row.open), *sorted(closed, key=lambda row: row.id, reverse=True))


def own_requests(tenant: str, recording: str) -> tuple[RequestRow, ...]:
    """What was asked about a recording on the page of its person's own call, latest first."""
    mine = (SubjectRequestTable.tenant_id == tenant) & (SubjectRequestTable.recording_id == recording)
    with connected():
        query = SubjectRequestTable.select().where(mine).order_by(SubjectRequestTable.id.desc())
        return tuple(request_row(row) for row in query)


def is_listening_proposed(tenant: str, recording: str) -> bool:
    """Whether the person of a recording waits for an answer to their proposal to listen together."""
    mine = (SubjectRequestTable.tenant_id == tenant) & (SubjectRequestTable.recording_id == recording)
    is_open = (SubjectRequestTable.wants == LISTENING) & SubjectRequestTable.closed_at.is_null()
    with connected():
        return bool(SubjectRequestTable.select().where(mine & is_open).exists())


def open_withdrawals(until: datetime) -> tuple[RequestRow, ...]:
    """All customers' open requests to withdraw consent that were entered up to a time."""
    is_open = (SubjectRequestTable.wants == WITHDRAWAL) & SubjectRequestTable.closed_at.is_null()
    with connected():
        query = SubjectRequestTable.select().where(is_open & (SubjectRequestTable.entered_at <= until))
        return tuple(request_row(row) for row in query.order_by(SubjectRequestTable.id))


def request_row(row: SubjectRequestTable) -> RequestRow:
    return read_value(RequestRow, row)
