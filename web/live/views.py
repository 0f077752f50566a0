"""One page of calls that go on now; forms that ask something of one of them."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.domain.call_events import PAUSE
from recorder.domain.live_command import DONE
from recorder.features.live import queries as live_queries
from recorder.features.live.queries import AskedRow, LiveRow
from web.account.limits import limit_asking
from web.live.command import CONTROLLING, ask
from web.state import here, logged_in, now, someone

blueprint = Blueprint("live", __name__, template_folder="templates")


@blueprint.get("/live")
@logged_in
def listed() -> str:
    tenant = someone().tenant
    asked = request.args.get("asked")
    calls = live_queries.calls(tenant.id, now())
    row = live_queries.asked(tenant.id, asked, now(), here().entropy) if asked else None
    return render_template(
        "live/list.html",
        calls=calls,
        lines={line.id: line for line in queries.lines(tenant.id, ended=True)},
        asked=None if row is None or _past(row, calls) else row,
        controls=_controls(),
        now=now(),
    )


@blueprint.post("/live/<call_id>/<what>")
@logged_in
@limit_asking
def do(call_id: str, what: str) -> Response:
    """Ask, wait a moment for the answer, and show it."""
    if not _controls():
        abort(403)
    row = ask(someone().tenant.id, call_id, what, by="panel", who=someone().user.id)
    if row is None:
        abort(404)
    return redirect(url_for(".listed", asked=row.id), 303)


@blueprint.get("/live/<call_id>/delete")
@logged_in
def destroy(call_id: str) -> str:
    """Whether they mean it."""
    if not _controls():
        abort(403)
    return render_template("live/destroy.html", call=_call(call_id))


def _past(row: AskedRow, calls: tuple[LiveRow, ...]) -> bool:
    """Whether a pause is over that is still in the page's address: it must not go on to say "paused"."""
    if row.action != PAUSE or row.outcome != DONE or now() < row.until:
        return False
    return not any(call.id == row.call and call.paused(now()) for call in calls)


def _call(call_id: str) -> LiveRow:
    """One of their own that may be destroyed."""
    row = live_queries.call(someone().tenant.id, call_id, now())
    if row is None or not row.deletable:
        abort(404)
    return row


def _controls() -> bool:
    return someone().user.role in CONTROLLING
