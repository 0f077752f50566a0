"""The page of what was recorded, by day and number, and the same as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder import csv_rows
from recorder.catalogue import queries
from recorder.domain import time_zones
from recorder.features.usage import service
from recorder.lifecycle.plans import EXPORT
from web.decorators import admins_only, in_plan
from web.state import current_visitor, login_required, now, page_faults
from web.usage.chart import summarise

LONGEST = 366
"""Days in a period."""

DEFAULT = 30

blueprint = Blueprint("usage", __name__, template_folder="templates")

for_admins = admins_only(lambda _view_args: "/")


@dataclass(frozen=True, slots=True)
class Period:
    """The days that are shown, both inclusive; ``wrong``: the arguments were unreadable or too far apart, and
    the last thirty days are shown."""

    first: date
    last: date
    wrong: bool

    def address(self) -> dict[str, str]:
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}


def parse_period(today: date) -> Period:
    """The period in the query arguments; by default the last thirty days that are over."""
    yesterday = today - timedelta(days=1)
    default = Period(yesterday - timedelta(days=DEFAULT - 1), yesterday, wrong=False)
    first, last = request.args.get("from", ""), request.args.get("to", "")
    if not first and not last:
        return default
    wrong = Period(default.first, default.last, wrong=True)
    try:
        end = date.fromisoformat(last) if last else yesterday
        begin = date.fromisoformat(first) if first else end - timedelta(days=DEFAULT - 1)
    except (ValueError, OverflowError):
        return wrong
    fits = 1970 <= begin.year <= end.year <= 9000 and 0 <= (end - begin).days < LONGEST
    return Period(begin, end, wrong=False) if fits else wrong


@blueprint.get("/usage")
@login_required
@for_admins
def show() -> str:
    """What was recorded."""
    tenant = current_visitor().tenant
    period = parse_period(now().astimezone(time_zones.display_zone(tenant.time_zone)).date())
    rows = service.usage_of(tenant.id, period.first, period.last)
    labels = {row.id: row.label for row in queries.lines(tenant.id, ended=True, faults=page_faults())}
    return render_template(
        "usage/show.html", period=period, usage=summarise(rows, period.first, period.last), labels=labels
    )


@blueprint.get("/usage.csv")
@login_required
@for_admins
@in_plan(EXPORT)
def download_csv() -> ResponseReturnValue:
    """A line for each day, part and number."""
    tenant = current_visitor().tenant
    period = parse_period(now().astimezone(time_zones.display_zone(tenant.time_zone)).date())
    heading = (
        _("Day"), _("Part"), _("Time zone"), _("Number"), _("Calls"), _("Minutes"), _("Bytes"),
    )  # fmt: skip
    text = ["\ufeff", csv_rows.row(map(str, heading))]
    for row in service.usage_of(tenant.id, period.first, period.last):
        for line in row.lines:
            counted = line.calls, round(line.duration_ms / 60_000, 3), line.bytes
            text.append(csv_rows.row([row.day, row.part, row.time_zone, line.number, *counted]))
    name = f"usage-{period.first}-{period.last}.csv"
    return Response(
        "".join(text),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
