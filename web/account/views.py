"""Views to log in, in one or two steps, and out."""

from __future__ import annotations

from datetime import timedelta

import structlog
from flask import make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder import metrics
from recorder.catalogue.records import UserRow
from recorder.domain.roles import AUDITOR, CUSTOMER
from recorder.errors import SealError
from recorder.identity import account_mail, factor_set, users
from recorder.identity.second_factors import APP, CODE
from recorder.seal.second_factor import SecondFactors
from web.account import devices, factors, notices, partial_log_in
from web.account.blueprint import blueprint
from web.account.forms import CodeForm, LogInForm
from web.account.limits import Attempt, client_network, device_id, remember_device, remember_place
from web.account.passwords import verify_password
from web.account.sessions import close_session, has_valid_credential, open_session
from web.addresses import local_path
from web.state import now, panel_state, visitor

FIRST_HOUR = timedelta(hours=1)
"""After an account was made, its first device is no news."""

log = structlog.get_logger()


@blueprint.route("/login", methods=["GET", "POST"])
def log_in() -> Response | str | tuple[str, int]:
    # Only the form's fields, never JSON or files: limits.py counts by the same fields.
    form = LogInForm(request.form)
    again = request.args.get("again") == "1"
    if request.method == "GET":
        found = visitor()
        if found is not None and not again:
            return redirect(url_for("call_list.home"))
        form.next.data = request.args.get("next", "")
        form.login.data = found.user.login if found is not None else ""
        return render_template("account/log_in.html", form=form, again=again and found is not None)
    login = form.login.data or ""
    attempt = Attempt(login)
    if not form.validate():
        return render_template("account/log_in.html", form=form), 422
    account, user, factors = _check_password(login, form.password.data or "")
    if user is None or factors is None:
        metrics.LOGINS.labels("refused").inc()
        log.info("web.login_refused", address=client_network())
        message = _("The log-in or the password is wrong.")
        answer = make_response(render_template("account/log_in.html", form=form, refused=message), 422)
        if account is not None:
            panel_state().refused.note(account, now())
        return answer
    if factors.required:
        attempt.take_back()
        partial_log_in.begin(user, login, form.next.data or "")
        return redirect(url_for("account.second_step"), 303)
    attempt.succeed()
    return complete_log_in(user, login, form.next.data)


@blueprint.route("/login/code", methods=["GET", "POST"])
def second_step() -> Response | str | tuple[str, int]:
    """The second step of a log-in: a code from the authenticator app, or a recovery code."""
    partial, form = partial_log_in.load(), CodeForm(request.form)
    factors = None if partial is None else current_factors(partial.user)
    if partial is None or factors is None:
        return redirect(url_for("account.log_in"), 303)
    if request.method == "GET":
        return render_template("account/second_step.html", form=form, factors=factors)
    attempt = Attempt(partial.login, "second-")
    if not form.validate():
        return render_template("account/second_step.html", form=form, factors=factors), 422
    factor = _check_code(partial.user, form.code.data or "")
    if factor is None:
        metrics.LOGINS.labels("refused").inc()
        log.info("web.second_step_refused", user=partial.user.id, address=client_network())
        panel_state().refused.note(partial.user, now())
        form.code.errors = [_("That code is wrong, too old or already used. Type the one that is shown now.")]
        return render_template("account/second_step.html", form=form, factors=factors), 422
    attempt.succeed()
    remember_place(partial.login)
    target = url_for("account.show") if factor == CODE else partial.target
    return complete_log_in(partial.user, partial.login, target, factor)


@blueprint.post("/logout")
def log_out() -> Response:
    response = redirect(url_for("account.log_in"), 303)
    close_session(response)
    # The Back button must not show pages of the ended session.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def complete_log_in(user: UserRow, login: str, target: str | None, factor: str = "") -> Response:
    """Open a session for a user who has taken all steps, and go to ``target``."""
    start = "call_list.list_calls" if user.role in (CUSTOMER, AUDITOR) else "call_list.home"
    response = redirect(local_path(target) or url_for(start), 303)
    is_new = device_id(login) is None and now() - user.created_at > FIRST_HOUR
    open_session(response, user, factor)
    remember_device(response, login)
    if is_new:
        notices.tell(user, account_mail.NEW_DEVICE, devices.device())
    metrics.LOGINS.labels("ok").inc()
    log.info("web.logged_in", user=user.id, tenant=user.tenant, factor=factor)
    return response


def _check_password(login: str, password: str) -> tuple[UserRow | None, UserRow | None, SecondFactors | None]:
    """The user of the log-in, if it exists, and the same user with their second factors if the password is
    right. A wrong password, an unknown log-in and a revoked one take the same work and give the same
    response."""
    user = users.user_by_login(login)
    usable = user is not None and user.revoked_at is None
    right = verify_password(user.password_hash if user is not None and usable else None, password)
    if not right or user is None or not has_valid_credential(user, logs_in=True):
        return user, None, None
    return user, user, current_factors(user)


def current_factors(user: UserRow) -> SecondFactors | None:
    """A user's second factors; ``None`` if they are not as they were signed, so that the user must not be let
    in. The reason is logged for the operator."""
    service = panel_state().factors
    try:
        if service is not None:
            return service.current(user)
        if factor_set.ever_had(user):
            raise SealError(
                "factors.no_service",
                f"user {user.id} has second factors, which the panel cannot check",
                factors.NO_SERVICE,
            )
    except SealError as error:
        log.error(
            "factors.refused", user=user.id, error_id=error.error_id, error=error.message, hint=error.hint
        )
        return None
    return SecondFactors(user.tenant, user.id)


def _check_code(user: UserRow, code: str) -> str | None:
    """Which factor a code belongs to; ``None`` for a wrong one. It is used up."""
    service, factors = panel_state().factors, current_factors(user)
    if service is None or factors is None:
        return None
    try:
        if service.check_app_code(user, factors, code):
            return APP
        return CODE if service.use_code(user, factors, code) else None
    except SealError as error:
        log.error(
            "factors.refused", user=user.id, error_id=error.error_id, error=error.message, hint=error.hint
        )
        return None
