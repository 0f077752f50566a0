"""The page of the call list."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.domain import time_zones
from recorder.lifecycle import amendments
from web.first_day.checklist import start_page
from web.gate import gate, who
from web.recordings import call_list, filters
from web.state import current_visitor, login_required, now, panel_state

MAX_REVIEWS = 10
"""Holds due for review that are shown above the list."""

blueprint = Blueprint("recordings", __name__, template_folder="templates")


@blueprint.get("/")
@login_required
def home() -> Response:
    return redirect(start_page())


@blueprint.get("/recordings")
@login_required
def list_calls() -> str:
    tenant = current_visitor().tenant
    zone = time_zones.display_zone(tenant.time_zone)
    call_filter = filters.parse_filter(request.args)
    scope = current_visitor().user.lines
    page = call_list.list_page(tenant.id, call_filter, zone, panel_state().config.page, scope)
    admin = current_visitor().admin
    due_holds = [each for each in amendments.holds(tenant.id) if each.review_at <= now()] if admin else []
    return render_template(
        "recordings/list.html",
        call_filter=call_filter,
        days=call_list.group_by_day(page.rows, zone),
        more=page.more.encode() if page.more else None,
        lines={line.id: line for line in queries.lines(tenant.id, ended=True)},
        tenant=tenant,
        due_holds=due_holds[:MAX_REVIEWS],
        leaving=admin and gate().leaver(who()) is not None,
    )
