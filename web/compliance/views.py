"""The compliance page: where each duty stands, and the way to it."""

from __future__ import annotations

from flask import Blueprint, render_template

from recorder.catalogue import subject_request_queries
from recorder.features.own_call.tenant_rule import rule_of
from recorder.features.subject_requests import rules
from recorder.lifecycle import amendments, limits
from web.decorators import admins_only
from web.gate import gate, who
from web.state import current_visitor, login_required, now, panel_state

blueprint = Blueprint("compliance", __name__, template_folder="templates")

MAX_REVIEWS = 10
"""Recordings whose review is due that are named."""


@blueprint.get("/compliance")
@login_required
@admins_only(back=lambda _view_args: "/")
def show() -> str:
    tenant = current_visitor().tenant
    today = rules.local_day(tenant.time_zone, now())
    open_requests = [each for each in subject_request_queries.requests(tenant.id) if each.open]
    holds = amendments.holds(tenant.id)
    changes = panel_state().changes
    return render_template(
        "compliance/show.html",
        open_requests=len(open_requests),
        overdue=sum(each.overdue(today) for each in open_requests),
        limits=len(limits.in_force(tenant.id, changes.trust)) if changes is not None else 0,
        holds=len(holds),
        due=[each for each in holds if each.review_at <= now()][:MAX_REVIEWS],
        own_call=rule_of(tenant.id).on,
        leaving=gate().leaver(who()) is not None,
    )
