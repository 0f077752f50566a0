"""What a customer's own people are told: which numbers are recorded, what for and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template

from recorder.catalogue import queries
from recorder.catalogue.records import AnnouncementRow, LineRow
from web.state import current_visitor, login_required

blueprint = Blueprint("numbers", __name__, template_folder="templates")


@dataclass(frozen=True, slots=True)
class Number:
    """A line and what it says, the first language first."""

    line: LineRow
    said: tuple[AnnouncementRow, ...]


@blueprint.get("/numbers")
@login_required
def list_numbers() -> str:
    tenant = current_visitor().tenant
    said = {row.id: row for row in queries.announcements(tenant.id)}
    numbers = [
        Number(line, tuple(said[each] for each in line.announcements)) for line in queries.lines(tenant.id)
    ]
    return render_template("numbers/list.html", numbers=numbers, tenant=tenant)
