"""How long a recording is kept and what for; holds, withdrawals, deletion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue import people, queries
from recorder.errors import KeepingError
from recorder.lifecycle.changing import LONGEST_REASON, LONGEST_REVIEW, Changes
from recorder.prompts.purposes import standard
from recorder.seal.amendment import By
from web import words
from web.account.limits import limit_grants, limit_refusals
from web.errors import page
from web.state import here, logged_in, now, someone

blueprint = Blueprint("keeping", __name__, template_folder="templates")

ADMIN = "customer_admin"
REVIEW = timedelta(days=90)
"""When a hold is looked at again, where nobody chooses another day."""

View = TypeVar("View", bound=Callable[..., object])


def for_admins(view: View) -> View:
    """A view for a customer's admins; what goes wrong is said on a page that leads back."""

    @wraps(view)
    def guarded(recording_id: str, *args: object, **kwargs: object) -> object:
        if someone().user.role != ADMIN:
            abort(403)
        try:
            return view(recording_id, *args, **kwargs)
        except KeepingError as error:
            back = url_for("keeping.show", recording_id=recording_id)
            return page(403, words.error(error.error_id), back=back)

    return cast(View, guarded)


def changes() -> Changes:
    found = here().changes
    if found is None:
        raise KeepingError("keeping.no_key", "the panel has no key to sign with", "`accord keys renew`")
    return found


@blueprint.get("/recordings/<recording_id>/keeping")
@logged_in
@limit_refusals
def show(recording_id: str) -> ResponseReturnValue:
    tenant = someone().tenant.id
    if here().changes is None:
        return page(503, words.error("keeping.no_key"))
    looked = changes().look(tenant, recording_id)
    names = {each.id: each.name for each in people.users(tenant)}
    at = now()
    return render_template(
        "keeping/show.html",
        recording=looked.row,
        looked=looked,
        owners={each.number: names.get(each.said.owner, "") for each in looked.terms.holds},
        admin=someone().user.role == ADMIN,
        why_not=looked.why_not_delete(),
        now=at,
        review=_day(at + REVIEW),
        earliest=_day(at + timedelta(days=1)),
        latest=_day(at + LONGEST_REVIEW - timedelta(days=1)),
        longest=LONGEST_REASON,
        codes=[*standard(), *queries.own_purposes(tenant)],
    )


@blueprint.post("/recordings/<recording_id>/keeping/hold")
@logged_in
@limit_grants
@for_admins
def hold(recording_id: str) -> ResponseReturnValue:
    form, user = request.form, someone().user
    changes().hold(
        user.tenant,
        recording_id,
        By("user", user.id),
        owner=user.id,
        purposes=form.getlist("purpose"),
        reason=form.get("reason", ""),
        review_at=_moment(form.get("review", "")),
        roles=[ADMIN, *(["customer"] if form.get("colleagues") else [])],
    )
    return _back(recording_id)


@blueprint.post("/recordings/<recording_id>/keeping/lift")
@logged_in
@limit_grants
@for_admins
def lift(recording_id: str) -> ResponseReturnValue:
    form, user = request.form, someone().user
    number = form.get("hold", "")
    held = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0
    by = By("user", user.id)
    changes().lift(user.tenant, recording_id, by, hold=held, reason=form.get("reason", ""))
    return _back(recording_id)


@blueprint.post("/recordings/<recording_id>/keeping/withdraw")
@logged_in
@limit_grants
@for_admins
def withdraw(recording_id: str) -> ResponseReturnValue:
    user = someone().user
    by = By("user", user.id)
    changes().withdraw(user.tenant, recording_id, by, reason=request.form.get("reason", ""))
    return _back(recording_id)


@blueprint.post("/recordings/<recording_id>/keeping/state")
@logged_in
@limit_grants
@for_admins
def state(recording_id: str) -> ResponseReturnValue:
    """What a recording from elsewhere may be used for, and on what that rests."""
    form, user = request.form, someone().user
    days = form.get("days", "")
    known = days.isascii() and days.isdigit() and len(days) < 6 and int(days) > 0
    if not known or changes().look(user.tenant, recording_id).row.brought_in is None:
        raise KeepingError("keeping.over", "no number of days, or it was recorded here")
    changes().agree(
        user.tenant,
        recording_id,
        By("user", user.id),
        purpose=form.get("purpose", "")[:100],
        keep_days=int(days),
        reason=form.get("reason", ""),
    )
    return _back(recording_id)


@blueprint.get("/recordings/<recording_id>/delete")
@logged_in
@limit_refusals
@for_admins
def ask_to_delete(recording_id: str) -> ResponseReturnValue:
    looked = changes().look(someone().tenant.id, recording_id)
    if (why := looked.why_not_delete()) is not None:
        raise KeepingError(why, "it cannot be deleted")
    return render_template(
        "keeping/delete.html", recording=looked.row, looked=looked, now=now(), longest=LONGEST_REASON
    )


@blueprint.post("/recordings/<recording_id>/delete")
@logged_in
@limit_grants
@for_admins
def delete(recording_id: str) -> ResponseReturnValue:
    user = someone().user
    by = By("user", user.id)
    changes().delete(user.tenant, recording_id, by, reason=request.form.get("reason", ""))
    return render_template("keeping/deleted.html")


def _back(recording_id: str) -> ResponseReturnValue:
    return redirect(url_for("keeping.show", recording_id=recording_id), 303)


def _zone() -> ZoneInfo:
    return ZoneInfo(someone().tenant.time_zone)


def _day(at: datetime) -> str:
    return at.astimezone(_zone()).date().isoformat()


def _moment(text: str) -> datetime:
    """The beginning of a day in the customer's zone.  Raises :class:`KeepingError` for what is none."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), _zone()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise KeepingError("keeping.review", "that is no day") from None
