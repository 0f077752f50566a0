"""Amendments by a customer's admins: a later agreement, or fewer purposes.  The call page shows the effect
before the amendment is written."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from recorder.lifecycle.amendment_service import agreement_rule, narrowing_rule
from web.account.limits import limit_grants
from web.playback.call_page import FilledForm, render_call
from web.playback.retention_view import AGREEMENT, first_day, parse_date
from web.retention.page_helpers import author, blueprint, on_call_page, redirect_to_recording
from web.state import changes, current_visitor, login_required


@blueprint.post("/recordings/<recording_id>/retention/agreement")
@login_required
@limit_grants
@on_call_page("agree")
def record_agreement(recording_id: str) -> ResponseReturnValue:
    form, tenant = request.form, current_visitor().tenant.id
    status = changes().look(tenant, recording_id)
    on = parse_date(form.get("on", ""), "retention.agreed_on")
    days = (parse_date(form.get("until", ""), "retention.until") - first_day(status)).days
    reason = form.get("reason", "")
    if form.get("sure"):
        changes().agree(status, author(), purpose=AGREEMENT, keep_days=days, reason=reason, on=on)
        return redirect_to_recording(recording_id)
    rule = agreement_rule(tenant, purpose=AGREEMENT, keep_days=days, reason=reason, on=on)
    _status, after = changes().preview(tenant, recording_id, author(), rule)
    return render_call(recording_id, FilledForm("agree", form, after=after, code=200))


@blueprint.post("/recordings/<recording_id>/retention/purposes")
@login_required
@limit_grants
@on_call_page("narrow")
def narrow_purposes(recording_id: str) -> ResponseReturnValue:
    form, tenant = request.form, current_visitor().tenant.id
    purposes, reason = form.getlist("purpose"), form.get("reason", "")
    if form.get("sure"):
        status = changes().look(tenant, recording_id)
        changes().narrow(status, author(), purposes=purposes, reason=reason)
        return redirect_to_recording(recording_id)
    rule = narrowing_rule(purposes=purposes, reason=reason)
    status, after = changes().preview(tenant, recording_id, author(), rule)
    codes_to_end = tuple(code for code in status.may_narrow() if code in purposes)
    return render_call(
        recording_id, FilledForm("narrow", form, after=after, codes_to_end=codes_to_end, code=200)
    )
