"""The offboarding page for a customer's admins, and the download."""

from __future__ import annotations

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from recorder.features.offboarding import handover_queries
from web.account.limits import limit_refusals
from web.errors import error_response
from web.gate import gate, who
from web.playback.sound_response import send
from web.state import current_visitor, login_required, now, visitor
from web.text import errors

blueprint = Blueprint("offboarding", __name__, template_folder="templates")


@blueprint.get("/offboarding")
@login_required
@limit_refusals
def show() -> str:
    person = current_visitor()
    row = gate().leaver(who()) if person.admin else None
    if row is None:
        abort(404)
    counted = handover_queries.count_reasons(person.tenant.id)
    return render_template(
        "offboarding/show.html",
        leaving=row,
        ready=row.handed_at is not None and now() < row.until and row.erasing_since is None,
        over=now() >= row.until or row.erasing_since is not None,
        recordings=counted.pop("", 0),
        left_out=sorted(counted.items()),
        at=now(),
    )


@blueprint.get("/offboarding/recordings.tar")
@limit_refusals
def download() -> ResponseReturnValue:
    """The archive.  Without a session it answers 401 instead of redirecting to the log-in, so that a download
    can resume after the next log-in."""
    found = visitor()
    if found is None:
        return error_response(401, errors.error("access.revoked"), "access.revoked")
    opened = gate().handover(who())
    row = gate().leaver(who())
    if row is None:
        abort(404)
    response = send(opened, row.handover or "")
    response.headers["Content-Disposition"] = f"attachment; filename={opened.name}"
    return response
