"""Amendments by a customer's admins: a later agreement, or fewer purposes.  A preview shows the effect before
the amendment is written."""

from __future__ import annotations

from datetime import date, timedelta

from flask import render_template, request
from flask.typing import ResponseReturnValue

from recorder.catalogue.country_check import pack_of
from recorder.errors import RetentionError
from recorder.lifecycle.amendment_service import (
    LONGEST_REASON,
    RecordingStatus,
    agreement_rule,
    narrowing_rule,
)
from recorder.seal.usage_terms import retention_start
from web.account.limits import limit_grants, limit_refusals
from web.retention.page_helpers import (
    author,
    blueprint,
    for_admins,
    local_date,
    parse_date,
    redirect_to_recording,
)
from web.state import changes, current_visitor, login_required, now

AGREEMENT = "agreement"
"""The only purpose that can be agreed to in the panel: to keep proof of what was agreed."""

DEFAULT_KEEP = timedelta(days=365)
"""Retention proposed for a later agreement."""


@blueprint.get("/recordings/<recording_id>/retention/agreement")
@login_required
@limit_refusals
@for_admins
def show_agreement(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(current_visitor().tenant.id, recording_id)
    if (why := looked.why_not_agree()) is not None:
        raise RetentionError(why, "the recording no longer accepts an agreement")
    today, latest = local_date(looked.now), _last_day(looked)
    if latest <= today:
        raise RetentionError("retention.too_long", "the country's longest retention is over")
    usual = local_date(retention_start(looked.chain.manifest) + DEFAULT_KEEP)
    return render_template(
        "retention/agreement.html",
        recording=looked.row,
        looked=looked,
        purpose=AGREEMENT,
        now=looked.now,
        called=local_date(looked.row.started_at),
        today=today,
        earliest=today + timedelta(days=1),
        usual=usual if today < usual < latest else latest,
        latest=latest,
        longest=LONGEST_REASON,
    )


@blueprint.post("/recordings/<recording_id>/retention/agreement")
@login_required
@limit_grants
@for_admins
def record_agreement(recording_id: str) -> ResponseReturnValue:
    form, tenant = request.form, current_visitor().tenant.id
    looked = changes().look(tenant, recording_id)
    on = parse_date(form.get("on", ""), "retention.agreed_on")
    days = (parse_date(form.get("until", ""), "retention.until") - _first_day(looked)).days
    reason = form.get("reason", "")
    if form.get("sure"):
        changes().agree(
            tenant, recording_id, author(), purpose=AGREEMENT, keep_days=days, reason=reason, on=on
        )
        return redirect_to_recording(recording_id)
    rule = agreement_rule(tenant, purpose=AGREEMENT, keep_days=days, reason=reason, on=on)
    looked, after = changes().preview(tenant, recording_id, author(), rule)
    return render_template(
        "retention/agreement_preview.html",
        recording=looked.row,
        looked=looked,
        after=after,
        purpose=AGREEMENT,
        form=form,
        on=on,
        now=now(),
    )


@blueprint.get("/recordings/<recording_id>/retention/purposes")
@login_required
@limit_refusals
@for_admins
def show_purposes(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(current_visitor().tenant.id, recording_id)
    if not looked.may_narrow():
        raise RetentionError("retention.purpose", "the recording has no purpose that can be ended")
    return render_template(
        "retention/purposes.html", recording=looked.row, looked=looked, now=looked.now, longest=LONGEST_REASON
    )


@blueprint.post("/recordings/<recording_id>/retention/purposes")
@login_required
@limit_grants
@for_admins
def narrow_purposes(recording_id: str) -> ResponseReturnValue:
    form, tenant = request.form, current_visitor().tenant.id
    purposes, reason = form.getlist("purpose"), form.get("reason", "")
    if form.get("sure"):
        changes().narrow(tenant, recording_id, author(), purposes=purposes, reason=reason)
        return redirect_to_recording(recording_id)
    rule = narrowing_rule(purposes=purposes, reason=reason)
    looked, after = changes().preview(tenant, recording_id, author(), rule)
    return render_template(
        "retention/purposes_preview.html",
        recording=looked.row,
        looked=looked,
        after=after,
        ending=[code for code in looked.may_narrow() if code in purposes],
        form=form,
        now=looked.now,
    )


def _first_day(looked: RecordingStatus) -> date:
    """The day from which retention is counted."""
    return local_date(retention_start(looked.chain.manifest))


def _last_day(looked: RecordingStatus) -> date:
    """The last day of retention that the customer's country allows."""
    return _first_day(looked) + timedelta(days=pack_of(looked.row.tenant).rule(AGREEMENT).longest_keep_days)
