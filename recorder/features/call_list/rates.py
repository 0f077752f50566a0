"""How many calls were announced, refused, asked about and agreed on, by period and line. Erased recordings
count: their rows keep what is counted. Nothing is known of, or said about, who took a call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from peewee import fn

from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.seal.keep_agreement import AGREED, ENTERED

NOT_CONNECTED: Final = "never_connected"
"""The reason of calls that nobody answered: there was nothing to announce, so they are not counted."""

REFUSED: Final = "declined"

NOT_KEPT: Final = "not_kept"

ANNOUNCED_REASONS: Final = frozenset(
    {REFUSED, NOT_KEPT, "no_answer", "unclear", "hung_up_in_question", "deleted"}
)
"""Why calls were not recorded of which the external party was told, or asked, that they would be."""


@dataclass(frozen=True, slots=True)
class CallRates:
    """Of how many ``calls`` the external party was told (``announcements``), refused to be recorded
    (``refusals``), was asked whether the recording may be kept (``questions``), and agreed (``agreements``);
    and how many were not recorded, by reason. Calls that nobody answered, and imports, are none of them."""

    calls: int = 0
    announcements: int = 0
    refusals: int = 0
    questions: int = 0
    agreements: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def unrecorded(self) -> int:
        return sum(self.reasons.values())

    def __add__(self, other: CallRates) -> CallRates:
        reasons = defaultdict(int, self.reasons)
        for reason, number in other.reasons.items():
            reasons[reason] += number
        return CallRates(
            self.calls + other.calls,
            self.announcements + other.announcements,
            self.refusals + other.refusals,
            self.questions + other.questions,
            self.agreements + other.agreements,
            dict(reasons),
        )


def count_rates(
    tenant: str, since: datetime, until: datetime, lines: Collection[str] | None
) -> dict[str, CallRates]:
    """A tenant's rates of a period (``until`` exclusive) by the id of the line, empty for a call without one;
    only of some ``lines``, unless that is ``None``."""
    rates: dict[str, CallRates] = defaultdict(CallRates)
    with connected():
        for line, some in _recorded(tenant, since, until, lines):
            rates[line] += some
        for line, some in _unrecorded(tenant, since, until, lines):
            rates[line] += some
    return dict(rates)


def _recorded(
    tenant: str, since: datetime, until: datetime, lines: Collection[str] | None
) -> Iterator[tuple[str, CallRates]]:
    columns = RecordingTable.line_id, RecordingTable.announced, RecordingTable.agreement
    query: Any = RecordingTable.select(*columns, fn.COUNT(RecordingTable.id))
    query = query.where(
        _within(RecordingTable, tenant, since, until, lines) & RecordingTable.import_sha256.is_null()
    )
    for line, announced, agreement, number in query.group_by(*columns).tuples():
        is_question = agreement is not None and agreement != ENTERED
        yield (
            line,
            CallRates(
                calls=number,
                announcements=number * bool(announced),
                questions=number * is_question,
                agreements=number * (agreement == AGREED),
            ),
        )


def _unrecorded(
    tenant: str, since: datetime, until: datetime, lines: Collection[str] | None
) -> Iterator[tuple[str, CallRates]]:
    columns = NotRecordedTable.line_id, NotRecordedTable.reason
    query: Any = NotRecordedTable.select(*columns, fn.COUNT(NotRecordedTable.id))
    query = query.where(
        _within(NotRecordedTable, tenant, since, until, lines) & (NotRecordedTable.reason != NOT_CONNECTED)
    )
    for line, reason, number in query.group_by(*columns).tuples():
        yield (
            line or "",
            CallRates(
                calls=number,
                announcements=number * (reason in ANNOUNCED_REASONS),
                refusals=number * (reason == REFUSED),
                questions=number * (reason == NOT_KEPT),
                reasons={reason: number},
            ),
        )


def _within(table: Any, tenant: str, since: datetime, until: datetime, lines: Collection[str] | None) -> Any:
    condition = (
        (table.tenant == tenant)
        & (table.started_at >= since.astimezone(UTC))
        & (table.started_at < until.astimezone(UTC))
    )
    return condition if lines is None else condition & table.line_id.in_([*lines])
