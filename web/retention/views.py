"""How long a recording is kept and what for; holds, withdrawals, deletion."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import KeepingError
from recorder.identity import users
from recorder.lifecycle import erasure_receipt as receipts
from recorder.lifecycle.amendment_service import LONGEST_REASON, LONGEST_REVIEW
from recorder.prompts.purposes import standard
from recorder.seal.amendment_kinds import ConsentAdded
from web.account.limits import limit_grants, limit_refusals
from web.errors import page
from web.retention.page_helpers import (
    beginning,
    blueprint,
    day_in,
    day_of,
    for_admins,
    me,
    to_recording,
)
from web.state import changes, here, logged_in, now, someone
from web.text import errors

REVIEW = timedelta(days=90)
"""When a hold is looked at again, where nobody chooses another day."""


@blueprint.get("/recordings/<recording_id>/keeping")
@logged_in
@limit_refusals
def show(recording_id: str) -> ResponseReturnValue:
    tenant = someone().tenant.id
    if here().changes is None:
        return page(503, errors.error("retention.no_key"))
    row = queries.recording(tenant, recording_id)
    if row is not None and row.erased_at is not None:
        said = _receipt(recording_id)
        return render_template("retention/erased.html", recording=row, receipt=said), 410
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
        admin=someone().admin,
        why_not=looked.why_not_delete(),
        now=at,
        review=day_of(at + REVIEW),
        earliest=day_of(at + timedelta(days=1)),
        latest=day_of(at + LONGEST_REVIEW - timedelta(days=1)),
        longest=LONGEST_REASON,
        codes=[*standard(), *queries.own_purposes(tenant)],
    )


@blueprint.get("/recordings/<recording_id>/receipt.json")
@logged_in
@limit_refusals
def receipt_file(recording_id: str) -> ResponseReturnValue:
    """The signed receipt of an erasure, to keep."""
    said = _receipt(recording_id)
    name = f"accord-receipt-{said.recording}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(said.content, mimetype="application/json", headers=headers)


def _receipt(recording_id: str) -> receipts.ErasureReceipt:
    means = changes()
    tenant, kept = someone().tenant.id, here().config.backups_kept
    return receipts.receipt(tenant, recording_id, means.store, means.root, means.signer, kept, now())


@blueprint.post("/recordings/<recording_id>/keeping/hold")
@logged_in
@limit_grants
@for_admins
def hold(recording_id: str) -> ResponseReturnValue:
    form, user = request.form, someone().user
    changes().hold(
        user.tenant,
        recording_id,
        me(),
        owner=user.id,
        purposes=form.getlist("purpose"),
        reason=form.get("reason", ""),
        review_at=beginning(day_in(form.get("review", ""), "retention.review"), "retention.review"),
        roles=[ADMIN, *([CUSTOMER] if form.get("colleagues") else [])],
    )
    return to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/keeping/lift")
@logged_in
@limit_grants
@for_admins
def lift(recording_id: str) -> ResponseReturnValue:
    form, user = request.form, someone().user
    number = form.get("hold", "")
    held = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0
    changes().lift(user.tenant, recording_id, me(), hold=held, reason=form.get("reason", ""))
    return to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/keeping/withdraw")
@logged_in
@limit_grants
@for_admins
def withdraw(recording_id: str) -> ResponseReturnValue:
    tenant = someone().tenant.id
    changes().withdraw(tenant, recording_id, me(), reason=request.form.get("reason", ""))
    return to_recording(recording_id)


@blueprint.post("/recordings/<recording_id>/keeping/state")
@logged_in
@limit_grants
@for_admins
def state(recording_id: str) -> ResponseReturnValue:
    """What a recording from elsewhere may be used for, and on what that rests."""
    form, user = request.form, someone().user
    days = form.get("days", "")
    known = days.isascii() and days.isdigit() and len(days) < 6 and int(days) > 0
    if not known or changes().look(user.tenant, recording_id).row.import_sha256 is None:
        raise KeepingError("retention.days", "no number of days, or it was recorded here")
    changes().agree(
        user.tenant,
        recording_id,
        me(),
        purpose=form.get("purpose", "")[:100],
        keep_days=int(days),
        reason=form.get("reason", ""),
    )
    return to_recording(recording_id)


@blueprint.get("/recordings/<recording_id>/delete")
@logged_in
@limit_refusals
@for_admins
def ask_to_delete(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(someone().tenant.id, recording_id)
    if (why := looked.why_not_delete()) is not None:
        raise KeepingError(why, "it cannot be deleted")
    return render_template(
        "retention/delete.html", recording=looked.row, looked=looked, now=now(), longest=LONGEST_REASON
    )


@blueprint.post("/recordings/<recording_id>/delete")
@logged_in
@limit_grants
@for_admins
def delete(recording_id: str) -> ResponseReturnValue:
    tenant = someone().tenant.id
    changes().delete(tenant, recording_id, me(), reason=request.form.get("reason", ""))
    return render_template("retention/deleted.html")
