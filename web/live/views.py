"""The page of active calls, and the forms that send commands to them."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.domain.call_events import PAUSE
from recorder.domain.live_command import DONE
from recorder.features.live import queries as live_queries
from recorder.features.live import service
from recorder.features.live.queries import CommandRow, LiveRow
from web.account.limits import limit_commands
from web.contacts.names import load_names
from web.live.command import CONTROL_ROLES, run_command
from web.state import current_visitor, login_required, now, page_faults, panel_state

blueprint = Blueprint("live", __name__, template_folder="templates")


@blueprint.get("/live")
@login_required
def list_calls() -> str:
    tenant = current_visitor().tenant
    command_id = request.args.get("command")
    calls = live_queries.live_calls(tenant.id, now(), current_visitor().user.lines)
    load_names(each.external_party for each in calls)
    row = service.find_command(tenant.id, command_id, now(), panel_state().entropy) if command_id else None
    return render_template(
        "live/list.html",
        calls=calls,
        lines={line.id: line for line in queries.lines(tenant.id, ended=True, faults=page_faults())},
        asked=None if row is None or _is_outdated(row, calls) else row,
        controls=_may_control(),
        now=now(),
    )


@blueprint.post("/live/<call_id>/<command>")
@login_required
@limit_commands
def send_command(call_id: str, command: str) -> Response:
    """Send a command, wait briefly for its outcome, and show it on the list."""
    if not _may_control():
        abort(403)
    user = current_visitor().user
    row = run_command(user.tenant, call_id, command, by="panel", who=user.id, scope=user.lines)
    if row is None:
        abort(404)
    return redirect(url_for(".list_calls", command=row.id), 303)


@blueprint.get("/live/<call_id>/delete")
@login_required
def confirm_deletion(call_id: str) -> str:
    """Ask for confirmation before the recording is deleted."""
    if not _may_control():
        abort(403)
    return render_template("live/deletion.html", call=_deletable_call(call_id))


def _is_outdated(row: CommandRow, calls: tuple[LiveRow, ...]) -> bool:
    """Whether the pause named in the page's address is over, so that the page must no longer say "paused"."""
    if row.action != PAUSE or row.outcome != DONE or now() < row.until:
        return False
    return not any(call.id == row.call and call.paused(now()) for call in calls)


def _deletable_call(call_id: str) -> LiveRow:
    """The customer's call if its recording may be deleted, else 404."""
    user = current_visitor().user
    row = live_queries.live_call(user.tenant, call_id, now(), user.lines)
    if row is None or not row.deletable:
        abort(404)
    return row


def _may_control() -> bool:
    return current_visitor().user.role in CONTROL_ROLES
