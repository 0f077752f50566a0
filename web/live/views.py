"""One page of calls that go on now; forms that ask something of one of them."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from recorder.catalogue import live, queries
from recorder.catalogue.live import LiveRow
from web.account.limits import limit_asking
from web.live.asking import CONTROLLING, ask
from web.state import here, logged_in, now, someone

blueprint = Blueprint("live", __name__, template_folder="templates")


@blueprint.get("/live")
@logged_in
def listed() -> str:
    tenant = someone().tenant
    asked = request.args.get("asked")
    return render_template(
        "live/list.html",
        calls=live.calls(tenant.id, now()),
        lines={line.id: line for line in queries.lines(tenant.id, ended=True)},
        asked=live.asked(tenant.id, asked, now(), here().entropy) if asked else None,
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


def _call(call_id: str) -> LiveRow:
    """One of their own that may be destroyed."""
    row = live.call(someone().tenant.id, call_id, now())
    if row is None or not row.deletable:
        abort(404)
    return row


def _controls() -> bool:
    return someone().user.role in CONTROLLING
