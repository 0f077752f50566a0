"""Views to log in and out."""

from __future__ import annotations

import structlog
from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder import metrics
from recorder.catalogue.records import UserRow
from recorder.identity import users
from web.account.forms import LogInForm
from web.account.limits import Attempt, client_network, remember_device
from web.account.passwords import verify_password
from web.account.sessions import close_session, has_valid_credential, open_session
from web.addresses import local_path
from web.state import now, panel_state, visitor

log = structlog.get_logger()

blueprint = Blueprint("account", __name__, template_folder="templates")


@blueprint.route("/login", methods=["GET", "POST"])
def log_in() -> Response | str | tuple[str, int]:
    # Only the form's fields, never JSON or files: limits.py counts by the same fields.
    form = LogInForm(request.form)
    if request.method == "GET":
        if visitor() is not None:
            return redirect(url_for("recordings.list_calls"))
        form.next.data = request.args.get("next", "")
        return render_template("account/log_in.html", form=form)
    attempt = Attempt()
    if not form.validate():
        return render_template("account/log_in.html", form=form), 422
    tried, user = _check_password(form.login.data or "", form.password.data or "")
    if user is None:
        metrics.LOGINS.labels("refused").inc()
        log.info("web.login_refused", address=client_network())
        message = _("That log-in and password do not belong together.")
        answer = make_response(render_template("account/log_in.html", form=form, refused=message), 422)
        if tried is not None:
            panel_state().refused.note(tried, now())
        return answer
    attempt.succeed()
    response = redirect(local_path(form.next.data) or url_for("recordings.list_calls"), 303)
    open_session(response, user)
    remember_device(response)
    metrics.LOGINS.labels("ok").inc()
    log.info("web.logged_in", user=user.id, tenant=user.tenant)
    return response


@blueprint.post("/logout")
def log_out() -> Response:
    response = redirect(url_for("account.log_in"), 303)
    close_session(response)
    # The Back button must not show pages of the ended session.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _check_password(login: str, password: str) -> tuple[UserRow | None, UserRow | None]:
    """The user of the log-in, if it exists, and the same user if the password is right.  A wrong password, an
    unknown log-in and a revoked one take the same work and give the same response."""
    user = users.user_by_login(login)
    usable = user is not None and user.revoked_at is None
    right = verify_password(user.password_hash if user is not None and usable else None, password)
    return user, user if right and user is not None and has_valid_credential(user, logs_in=True) else None
