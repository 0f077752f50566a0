"""The first day: what is set up, what comes next, and the test call as it arrives."""

from __future__ import annotations

from flask import Blueprint, render_template

from web.decorators import admins_only
from web.first_day.checklist import make_checklist
from web.state import current_visitor, login_required, now, panel_state

blueprint = Blueprint("first_day", __name__, template_folder="templates")


@blueprint.get("/first-day")
@login_required
@admins_only(lambda _arguments: "/")
def show() -> str:
    checklist = make_checklist(current_visitor().tenant, now())
    return render_template(
        "first_day/show.html",
        checklist=checklist,
        call=checklist.call,
        can_add=panel_state().number_proofs is not None,
    )
