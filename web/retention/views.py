"""The retention page of a recording, with holds, withdrawal of consent and deletion."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import RetentionError
from recorder.identity import users
from recorder.lifecycle import erasure_receipt as receipts
from recorder.lifecycle.amendment_service import LONGEST_REASON, LONGEST_REVIEW
from recorder.prompts.purposes import standard
from recorder.seal.amendment_kinds import ConsentAdded
from web.account.limits import limit_grants, limit_refusals
from web.errors import error_page
from web.retention.page_helpers import (
    author,
    blueprint,
    for_admins,
    local_date,
    parse_date,
    redirect_to_recording,
    start_of_day,
)
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import errors

DEFAULT_REVIEW = timedelta(days=90)
"""Time until the review that is proposed for a hold."""


@blueprint.get("/recordings/<recording_id>/retention")
@login_required
@limit_refusals
def show(recording_id: str) -> ResponseReturnValue:
    tenant = current_visitor().tenant.id
    if panel_state().changes is None:
        return error_page(503, errors.error("retention.no_key"))
    row = queries.recording(tenant, recording_id)
    if row is not None and not current_visitor().sees(row.line):
        abort(404)
    if row is not None and row.erased_at is not None:
        return render_template("retention/receipt.html", recording=row, receipt=_receipt(recording_id)), 410
    looked = changes().look(tenant, recording_id)
    names = {each.id: each.name for each in users.users(tenant)}
    at = now()
    return render_template(
        "retention/show.html",
        recording=looked.row,
        looked=looked,
        owners={each.number: names.get(each.data.owner, "") for each in looked.terms.holds},
        later=[
            (each, names.get(each.by.id or "", ""))
            for each in looked.chain.amendments
            if isinstance(each.data, ConsentAdded)
        ],
        admin=current_visitor().admin,
        why_not=looked.why_not_delete(),
        now=at,
        review=local_date(at + DEFAULT_REVIEW),
        earliest=local_date(at + timedelta(days=1)),
        latest=local_date(at + LONGEST_REVIEW - timedelta(days=1)),
        longest=LONGEST_REASON,
        codes=[*standard(), *queries.own_purposes(tenant)],
    )


@blueprint.get("/recordings/<recording_id>/receipt.json")
@login_required
@limit_refusals
def download_receipt(recording_id: str) -> ResponseReturnValue:
    """Download the signed receipt of an erasure."""
    row = queries.recording(current_visitor().tenant.id, recording_id)
    if row is not None and not current_visitor().sees(row.line):
        abort(404)
    receipt = _receipt(recording_id)
    name = f"accord-receipt-{receipt.recording}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(receipt.content, mimetype="application/json", headers=headers)


def _receipt(recording_id: str) -> receipts.ErasureReceipt:
    service = changes()
    tenant, kept = current_visitor().tenant.id, panel_state().config.backups_kept
    return receipts.receipt(tenant, recording_id, service.store, service.root, service.signer, kept, now())


@blueprint.post("/recordings/<recording_id>/retention/hold")
@login_required
@limit_grants
@for_admins
def set_hold(recording_id: str) -> ResponseReturnValue:
    form, user = request.form, current_visitor().user
    changes().hold(
        user.tenant,
        recording_id,
        author(),
        owner=user.id,
        purposes=form.getlist("purpose"),
        reason=form.get("reason", ""),
        review_at=start_of_day(parse_date(form.get("review", ""), "retention.review"), "retention.review"),
        roles=[ADMIN, *([CUSTOMER] if form.get("colleagues") else [])],
    )
    return redirect_to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/retention/lift")
@login_required
@limit_grants
@for_admins
def lift_hold(recording_id: str) -> ResponseReturnValue:
    form, user = request.form, current_visitor().user
    number = form.get("hold", "")
    held = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0
    changes().lift(user.tenant, recording_id, author(), hold=held, reason=form.get("reason", ""))
    return redirect_to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/retention/withdraw")
@login_required
@limit_grants
@for_admins
def withdraw_consent(recording_id: str) -> ResponseReturnValue:
    tenant = current_visitor().tenant.id
    changes().withdraw(tenant, recording_id, author(), reason=request.form.get("reason", ""))
    return redirect_to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/retention/basis")
@login_required
@limit_grants
@for_admins
def state_basis(recording_id: str) -> ResponseReturnValue:
    """State the purpose of an imported recording and the basis for it."""
    form, user = request.form, current_visitor().user
    days = form.get("days", "")
    valid = days.isascii() and days.isdigit() and len(days) < 6 and int(days) > 0
    if not valid or changes().look(user.tenant, recording_id).row.import_sha256 is None:
        raise RetentionError("retention.days", "invalid number of days, or the recording was not imported")
    changes().agree(
        user.tenant,
        recording_id,
        author(),
        purpose=form.get("purpose", "")[:100],
        keep_days=int(days),
        reason=form.get("reason", ""),
    )
    return redirect_to_recording(recording_id)


@blueprint.get("/recordings/<recording_id>/delete")
@login_required
@limit_refusals
@for_admins
def confirm_deletion(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(current_visitor().tenant.id, recording_id)
    if (why := looked.why_not_delete()) is not None:
        raise RetentionError(why, "the recording cannot be deleted")
    return render_template(
        "retention/deletion.html", recording=looked.row, looked=looked, now=now(), longest=LONGEST_REASON
    )


@blueprint.post("/recordings/<recording_id>/delete")
@login_required
@limit_grants
@for_admins
def delete(recording_id: str) -> ResponseReturnValue:
    tenant = current_visitor().tenant.id
    changes().delete(tenant, recording_id, author(), reason=request.form.get("reason", ""))
    return render_template("retention/deletion_done.html")
