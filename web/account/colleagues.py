"""Views for a customer's admins: who confirms log-ins in two steps, whether everybody must, and lost
factors."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.catalogue.records import UserRow
from recorder.errors import CatalogueError
from recorder.identity import account_mail, factor_reset, users
from web.account import notices
from web.account.blueprint import blueprint
from web.account.factors import service
from web.account.fresh import fresh_login_required
from web.account.views import current_factors
from web.state import current_visitor, login_required, now

View = TypeVar("View", bound=Callable[..., object])


def for_admins(view: View) -> View:
    """Decorates views for the customer's admins. Whoever must set up a second factor first could otherwise
    lift that rule."""

    @wraps(view)
    def guarded(*args: object, **view_args: object) -> object:
        if current_visitor().limited:
            return redirect(url_for("account.show"), 303)
        if not current_visitor().admin:
            abort(403)
        return view(*args, **view_args)

    return cast(View, guarded)


@blueprint.get("/account/colleagues")
@login_required
@for_admins
def show_colleagues() -> str:
    tenant, people = current_visitor().tenant, _people()
    return render_template(
        "account/colleagues.html",
        people=[(person, current_factors(person)) for person in people],
        names={person.id: person.name for person in people},
        requests=factor_reset.open_requests(tenant.id, now()),
        required=service().requires_second_factor(tenant.id),
        admins=sum(person.role == current_visitor().user.role for person in people),
    )


@blueprint.post("/account/colleagues/rule")
@fresh_login_required
@for_admins
def change_rule() -> Response:
    """Require a second factor from everybody, or no longer."""
    required = request.form.get("required") == "yes"
    service().require_second_factor(current_visitor().user, required)
    flash(_("Saved."))
    return _back()


@blueprint.post("/account/colleagues/<user_id>/reset")
@fresh_login_required
@for_admins
def request_reset(user_id: str) -> Response:
    """Ask for the reset of a colleague's second factors."""
    person = next((each for each in _people() if each.id == user_id), None)
    if person is None:
        abort(404)
    try:
        service().request_reset(person, current_visitor().user)
    except CatalogueError:
        abort(403)
    notices.tell(person, account_mail.FACTORS_RESET_REQUESTED)
    flash(_("Another admin can confirm this now."))
    return _back()


@blueprint.post("/account/resets/<request_id>/confirm")
@fresh_login_required
@for_admins
def confirm_reset(request_id: str) -> Response:
    """Confirm what another admin asked for."""
    _check_request(request_id)
    try:
        person = service().confirm_reset(current_visitor().user, request_id)
    except CatalogueError:
        abort(403)
    if person is None:
        flash(_("This request is no longer open."), "wrong")
        return _back()
    notices.tell(person, account_mail.FACTORS_RESET)
    flash(_("%(name)s can log in with the password alone, and set up a new second step.", name=person.name))
    return _back()


@blueprint.post("/account/resets/<request_id>/withdraw")
@login_required
@for_admins
def withdraw_reset(request_id: str) -> Response:
    """End a request without a reset."""
    _check_request(request_id)
    service().withdraw_reset(current_visitor().user, request_id)
    flash(_("The request is withdrawn."))
    return _back()


def _check_request(request_id: str) -> None:
    """Answer 404 for a request that never was this customer's."""
    if not factor_reset.is_request(current_visitor().tenant.id, request_id):
        abort(404)


def _people() -> list[UserRow]:
    return [person for person in users.users(current_visitor().tenant.id) if person.revoked_at is None]


def _back() -> Response:
    return redirect(url_for("account.show_colleagues"), 303)
