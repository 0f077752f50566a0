"""The page of numbers: which are recorded, for which purposes, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template

from recorder.catalogue import queries
from recorder.catalogue.records import AnnouncementRow, LineRow
from web.state import current_visitor, login_required

blueprint = Blueprint("numbers", __name__, template_folder="templates")


@dataclass(frozen=True, slots=True)
class Number:
    """A line and its announcements, in the order of its languages."""

    line: LineRow
    announcements: tuple[AnnouncementRow, ...]


@blueprint.get("/numbers")
@login_required
def list_numbers() -> str:
    tenant = current_visitor().tenant
    rows = {row.id: row for row in queries.announcements(tenant.id)}
    numbers = [
        Number(line, tuple(rows[each] for each in line.announcements)) for line in queries.lines(tenant.id)
    ]
    return render_template("numbers/list.html", numbers=numbers, tenant=tenant)
