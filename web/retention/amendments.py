"""What a customer's admins write down about a recording later: that they agreed after the call, that it is
used for less.  Each is shown with what follows from it before it is written."""

from __future__ import annotations

from datetime import date, timedelta

from flask import render_template, request
from flask.typing import ResponseReturnValue

from recorder.catalogue.country_check import pack_of
from recorder.errors import KeepingError
from recorder.lifecycle.amendment_service import LONGEST_REASON, Looked, agreeing, narrowing
from recorder.seal.usage_terms import retention_start
from web.account.limits import limit_grants, limit_refusals
from web.retention.page_helpers import blueprint, day_in, day_of, for_admins, me, to_recording
from web.state import changes, logged_in, now, someone

PURPOSE = "agreement"
"""What can be agreed in the panel: that it is kept so that it stays clear what was agreed."""

USUALLY = timedelta(days=365)
"""How long it is then kept, where nobody chooses another day."""


@blueprint.get("/recordings/<recording_id>/keeping/agreed")
@logged_in
@limit_refusals
@for_admins
def ask_agreed(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(someone().tenant.id, recording_id)
    if (why := looked.why_not_agree()) is not None:
        raise KeepingError(why, "nothing can be agreed about it any more")
    today, latest = day_of(looked.now), _latest(looked)
    if latest <= today:
        raise KeepingError("retention.too_long", "the country's longest time is over")
    usual = day_of(retention_start(looked.chain.manifest) + USUALLY)
    return render_template(
        "retention/agreed.html",
        recording=looked.row,
        looked=looked,
        purpose=PURPOSE,
        now=looked.now,
        called=day_of(looked.row.started_at),
        today=today,
        earliest=today + timedelta(days=1),
        usual=usual if today < usual < latest else latest,
        latest=latest,
        longest=LONGEST_REASON,
    )


@blueprint.post("/recordings/<recording_id>/keeping/agreed")
@logged_in
@limit_grants
@for_admins
def agreed(recording_id: str) -> ResponseReturnValue:
    form, tenant = request.form, someone().tenant.id
    looked = changes().look(tenant, recording_id)
    on = day_in(form.get("on", ""), "retention.agreed_on")
    days = (day_in(form.get("until", ""), "retention.until") - _first(looked)).days
    reason = form.get("reason", "")
    if form.get("sure"):
        changes().agree(tenant, recording_id, me(), purpose=PURPOSE, keep_days=days, reason=reason, on=on)
        return to_recording(recording_id)
    rule = agreeing(tenant, purpose=PURPOSE, keep_days=days, reason=reason, on=on)
    looked, after = changes().foresee(tenant, recording_id, me(), rule)
    return render_template(
        "retention/agreed_sure.html",
        recording=looked.row,
        looked=looked,
        after=after,
        purpose=PURPOSE,
        form=form,
        on=on,
        now=now(),
    )


@blueprint.get("/recordings/<recording_id>/keeping/less")
@logged_in
@limit_refusals
@for_admins
def ask_less(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(someone().tenant.id, recording_id)
    if not looked.may_narrow():
        raise KeepingError("retention.purpose", "it has no purpose that can be ended")
    return render_template(
        "retention/less.html", recording=looked.row, looked=looked, now=looked.now, longest=LONGEST_REASON
    )


@blueprint.post("/recordings/<recording_id>/keeping/less")
@logged_in
@limit_grants
@for_admins
def less(recording_id: str) -> ResponseReturnValue:
    form, tenant = request.form, someone().tenant.id
    purposes, reason = form.getlist("purpose"), form.get("reason", "")
    if form.get("sure"):
        changes().narrow(tenant, recording_id, me(), purposes=purposes, reason=reason)
        return to_recording(recording_id)
    rule = narrowing(purposes=purposes, reason=reason)
    looked, after = changes().foresee(tenant, recording_id, me(), rule)
    return render_template(
        "retention/less_sure.html",
        recording=looked.row,
        looked=looked,
        after=after,
        ending=[code for code in looked.may_narrow() if code in purposes],
        form=form,
        now=looked.now,
    )


def _first(looked: Looked) -> date:
    """The day that its keeping is counted from."""
    return day_of(retention_start(looked.chain.manifest))


def _latest(looked: Looked) -> date:
    """The last day up to which the customer's country lets it be kept."""
    return _first(looked) + timedelta(days=pack_of(looked.row.tenant).rule(PURPOSE).longest_keep_days)
