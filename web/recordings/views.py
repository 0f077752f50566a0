"""The one page of calls."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.domain import time_zones
from recorder.lifecycle import amendments
from web.gate import gate, who
from web.recordings import call_list, filters
from web.state import here, logged_in, now, someone

SHOWN = 10
"""Holds to be looked at again that are named above the list."""

blueprint = Blueprint("recordings", __name__, template_folder="templates")


@blueprint.get("/")
@logged_in
def home() -> Response:
    return redirect(url_for("recordings.listed"))


@blueprint.get("/recordings")
@logged_in
def listed() -> str:
    tenant = someone().tenant
    zone = time_zones.display_zone(tenant.time_zone)
    call_filter = filters.read(request.args)
    page = call_list.calls(tenant.id, call_filter, zone, here().config.page)
    admin = someone().admin
    look_again = [each for each in amendments.holds(tenant.id) if each.review_at <= now()] if admin else []
    return render_template(
        "recordings/list.html",
        call_filter=call_filter,
        days=call_list.by_day(page.rows, zone),
        more=page.more.encode() if page.more else None,
        lines={line.id: line for line in queries.lines(tenant.id, ended=True)},
        tenant=tenant,
        look_again=look_again[:SHOWN],
        leaving=admin and gate().leaver(who()) is not None,
    )
