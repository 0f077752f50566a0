"""``accord line set`` for several numbers: which ones, and what becomes of the change of each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.cli.output import Record, is_json, print_json, print_list
from recorder.features.tenants.line_proposals import REFUSED, ChangeOutcome, changed_settings

COLUMNS: Final = ("tenant", "number", "outcome", "before", "after", "reason")

_ROW_SETTINGS: Final = ("label", "timing", "outbound", "formats", "beep", "deletable")


def lines_with(owner: TenantRow, mode: str | None, purpose: str | None) -> Sequence[LineRow]:
    """A tenant's lines that are recorded in a mode, or for a purpose; ``None``: any, recorded or not."""
    purposes = {row.id: row.purposes for row in queries.announcements(owner.id)}
    return [
        row
        for row in queries.lines(owner.id)
        if mode in (None, row.mode)
        and (purpose is None or (row.recorded and purpose in purposes.get(row.announcement, ())))
    ]


def print_outcomes(outcomes: Iterable[tuple[TenantRow, ChangeOutcome]], *, dry_run: bool) -> None:
    """List what becomes of each line's change. Exits with 1 if one is refused."""
    records = [_record(owner, outcome) for owner, outcome in outcomes]
    if is_json():
        print_json({"dry_run": dry_run, "lines": records})
    else:
        print_list("lines", records, COLUMNS)
    if any(record["outcome"] == REFUSED for record in records):
        sys.exit(1)


def _record(owner: TenantRow, outcome: ChangeOutcome) -> Record:
    """What a change concerns has its value before and after it."""
    before, after, error = dict[str, object](), dict[str, object](), outcome.error
    if outcome.before is not None and outcome.after is not None:
        for name in changed_settings(outcome.before, outcome.after):
            before[name], after[name] = getattr(outcome.before, name), getattr(outcome.after, name)
    for name in _ROW_SETTINGS:
        if getattr(outcome.line, name) != getattr(outcome.changed, name):
            before[name], after[name] = getattr(outcome.line, name), getattr(outcome.changed, name)
    return {
        "id": outcome.line.id,
        "tenant": owner.name,
        "number": outcome.line.number,
        "outcome": outcome.code,
        "before": before,
        "after": after,
        "error": None if error is None else error.error_id,
        "reason": None if error is None else error.message,
        "hint": None if error is None else error.hint,
    }
