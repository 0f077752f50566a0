"""Views to set up and remove second factors."""

from __future__ import annotations

from typing import Final

import segno
from flask import abort, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response

from recorder.errors import SealError
from recorder.identity import account_mail
from recorder.identity.second_factors import SecondFactorService
from web.account import notices
from web.account.blueprint import blueprint
from web.account.forms import AppForm
from web.account.fresh import fresh_login_required
from web.account.sessions import renew_session
from web.state import current_visitor, panel_state

NO_SERVICE: Final = "the panel needs the panel's signing key for it: run `accord doctor`"


def service() -> SecondFactorService:
    """The panel's second factors. Raises :class:`SealError` without them."""
    found = panel_state().factors
    if found is None:
        raise SealError("factors.no_service", "the panel cannot check second factors", NO_SERVICE)
    return found


@blueprint.post("/account/app")
@fresh_login_required
def begin_app() -> str:
    """Show a new secret, which is not valid before one of its codes was typed."""
    return _app_page(AppForm(), service().new_app_key(current_visitor().user))


@blueprint.post("/account/app/confirm")
@fresh_login_required
def add_app() -> Response | str | tuple[str, int]:
    form, user = AppForm(request.form), current_visitor().user
    app_key = form.app_key.data or ""
    try:
        service().secret(user, app_key)
    except SealError:
        abort(400)  # no key that this page has shown
    if form.validate():
        codes = service().add_app(user, app_key, form.code.data or "")
        if codes is not None:
            return finish_change(codes)
        form.code.errors = [_("That code is wrong or too old. Type the one that the app shows now.")]
    return _app_page(form, app_key), 422


@blueprint.post("/account/app/remove")
@fresh_login_required
def remove_app() -> Response | str:
    return finish_change(service().remove_app(current_visitor().user))


@blueprint.post("/account/codes")
@fresh_login_required
def make_codes() -> Response | str:
    """Make new recovery codes."""
    if not service().current(current_visitor().user).required:
        return redirect(url_for("account.show"), 303)
    return finish_change(service().make_codes(current_visitor().user))


def _app_page(form: AppForm, app_key: str) -> str:
    user = current_visitor().user
    form.app_key.data = app_key
    secret, uri = service().secret(user, app_key), service().uri(user, app_key)
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    picture = segno.make(uri, error="m", micro=False).svg_inline(
        border=4, omitsize=True, light="#fff", dark="#000"
    )
    return render_template("account/app.html", form=form, secret=groups, qr=Markup(picture))  # noqa: S704, of segno


def finish_change(codes: tuple[str, ...]) -> Response:
    """After a change of the factors: other sessions end, this one is renewed, and new codes are shown
    once."""
    notices.tell(current_visitor().user, account_mail.FACTORS_CHANGED)
    response = make_response() if codes else redirect(url_for("account.show"), 303)
    renew_session(response)
    if codes:
        response.set_data(render_template("account/codes.html", codes=codes))
    return response
