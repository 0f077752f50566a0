"""Keeping a recording for a dispute, withdrawal, statements of purpose, deletion, and the receipt of an
erasure.  Their forms are on the call page."""

from __future__ import annotations

from flask import Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import queries
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import AccessError, RetentionError
from recorder.lifecycle import erasure_receipt as receipts
from recorder.lifecycle.amendment_service import RecordingStatus
from web.account.limits import limit_grants, limit_refusals
from web.gate import gate, who
from web.playback.retention_view import handlers, parse_date, start_of_day
from web.retention.page_helpers import (
    author,
    blueprint,
    hold_number,
    on_call_page,
    redirect_to_recording,
    tell,
)
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text.deletion import pending_deletion


@blueprint.get("/recordings/<recording_id>/retention")
@blueprint.get("/recordings/<recording_id>/retention/agreement")
@blueprint.get("/recordings/<recording_id>/retention/purposes")
@blueprint.get("/recordings/<recording_id>/delete")
@login_required
def show(recording_id: str) -> ResponseReturnValue:
    """Addresses of former pages: all of it is on the call page."""
    return redirect(url_for("playback.show_recording", recording_id=recording_id, _anchor="more"))


@blueprint.get("/recordings/<recording_id>/receipt.json")
@login_required
@limit_refusals
def download_receipt(recording_id: str) -> ResponseReturnValue:
    """Download the signed receipt of an erasure."""
    service, tenant = changes(), current_visitor().tenant.id
    row = queries.recording(tenant, recording_id)
    if row is not None and not current_visitor().sees(row.line):
        abort(404)
    backups_kept = panel_state().config.backups_kept
    receipt = receipts.receipt(
        tenant, recording_id, service.store, service.root, service.signer, backups_kept, now()
    )
    name = f"receipt-{receipt.recording}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(receipt.content, mimetype="application/json", headers=headers)


@blueprint.post("/recordings/<recording_id>/retention/hold")
@login_required
@limit_refusals
@limit_grants
@on_call_page("keep", roles=(ADMIN, CUSTOMER))
def set_hold(recording_id: str) -> ResponseReturnValue:
    """Keep a recording for a dispute.  Who does so handles it, or whom an admin chooses, and may go on
    listening; the signed hold names them."""
    form, user = request.form, current_visitor().user
    status = gate().facts(who(), recording_id).status  # also for those who may not see this call
    handler = _chosen_handler(status) if current_visitor().admin else user.id
    changes().hold(
        status,
        author(),
        owner=handler,
        purposes=form.getlist("purpose") or status.may_hold(),
        reason=form.get("reason", "").strip() or str(_("Kept for an open question")),
        review_at=start_of_day(parse_date(form.get("review", ""), "retention.review"), "retention.review"),
        roles=[ADMIN, *([CUSTOMER] if current_visitor().admin and form.get("colleagues") else [])],
    )
    tell(handler)
    return redirect_to_recording(recording_id, "held")


@blueprint.post("/recordings/<recording_id>/retention/lift")
@login_required
@limit_refusals
@limit_grants
@on_call_page("lift-{hold}", roles=(ADMIN, CUSTOMER))
def lift_hold(recording_id: str) -> ResponseReturnValue:
    """Release a recording that was kept for a dispute: an admin, or who handles it."""
    status = gate().facts(who(), recording_id).status
    hold = _own_hold(status)
    reason = request.form.get("reason", "").strip() or str(_("No longer needed"))
    changes().lift(status, author(), hold=hold, reason=reason)
    return redirect_to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/retention/handler")
@login_required
@limit_grants
@on_call_page("handler-{hold}", roles=(ADMIN, CUSTOMER))
def hand_over(recording_id: str) -> ResponseReturnValue:
    """Let another colleague handle what a recording is kept for: an admin, or who handles it."""
    status = gate().facts(who(), recording_id).status
    hold, handler = _own_hold(status), _chosen_handler(status)
    changes().hand_over(status, author(), hold=hold, owner=handler)
    tell(handler)
    return redirect_to_recording(recording_id, "held")


def _own_hold(status: RecordingStatus) -> int:
    """The hold that the form names, if the visitor handles it by its signed amendment, or is an admin. Raises
    :class:`RetentionError` (``retention.not_yours``)."""
    hold, user = hold_number(), current_visitor().user.id
    theirs = {each.number for each in status.terms.holds if each.data.owner == user}
    if not current_visitor().admin and hold not in theirs:
        raise RetentionError(
            "retention.not_yours",
            "only the user who handles the hold, or an admin, can release it or hand it over",
            "ask the user who handles it, or an admin",
        )
    return hold


def _chosen_handler(status: RecordingStatus) -> str:
    """The person who is to handle it; by default the visitor.  Raises :class:`RetentionError`
    (``retention.handler``)."""
    handler = request.form.get("handler", current_visitor().user.id)
    if handler not in {each.id for each in handlers(status)}:
        raise RetentionError(
            "retention.handler",
            "that person cannot see or hear this recording",
            "choose a user whose role and lines include the recording",
        )
    return handler


@blueprint.post("/recordings/<recording_id>/retention/withdraw")
@login_required
@limit_grants
@on_call_page("withdraw")
def withdraw_consent(recording_id: str) -> ResponseReturnValue:
    status = changes().look(current_visitor().tenant.id, recording_id)
    changes().withdraw(status, author(), reason=request.form.get("reason", ""))
    return redirect_to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/retention/basis")
@login_required
@limit_grants
@on_call_page("state")
def state_basis(recording_id: str) -> ResponseReturnValue:
    """State the purpose of an imported recording and the basis for it."""
    form, status = request.form, changes().look(current_visitor().user.tenant, recording_id)
    days = form.get("days", "")
    valid = days.isascii() and days.isdigit() and len(days) < 6 and int(days) > 0
    if not valid or status.row.import_sha256 is None:
        raise RetentionError(
            "retention.days",
            "invalid number of days, or the recording was not imported",
            "enter a number of days; only an imported recording can be given a basis",
        )
    changes().agree(
        status,
        author(),
        purpose=form.get("purpose", "")[:100],
        keep_days=int(days),
        reason=form.get("reason", ""),
    )
    return redirect_to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/delete")
@login_required
@limit_grants
@on_call_page("delete")
def delete(recording_id: str) -> ResponseReturnValue:
    tenant = current_visitor().tenant.id
    changes().delete(changes().look(tenant, recording_id), author(), reason=request.form.get("reason", ""))
    try:
        pending = pending_deletion(changes().look(tenant, recording_id), {})
    except AccessError:  # the worker was faster
        pending = None
    return render_template("retention/deletion_done.html", pending=pending)
