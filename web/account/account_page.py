"""A person's own account: name, language, password, second factors and sessions."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import CatalogueError
from recorder.features.notifications import service as notifications
from recorder.features.notifications.rules import COLLEAGUES_KINDS, KINDS
from recorder.identity import account_mail, passwords, users
from recorder.seal.second_factor import LONGEST_NAME
from recorder.strict_json import b64
from web.account import devices, notices
from web.account.blueprint import blueprint
from web.account.factors import service
from web.account.forms import PasswordForm, ProfileForm
from web.account.limits import Attempt
from web.account.passwords import hash_new_password, verify_password
from web.account.sessions import renew_session
from web.cookies import cookie_name
from web.language import NAMES
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import team
from web.text.sentences import labels


@dataclass(frozen=True, slots=True)
class RefusedName:
    """A new name of a passkey as it was sent, and the sentence why it was refused."""

    passkey: bytes
    name: str
    error: str


@blueprint.get("/account")
@login_required
def show() -> str:
    return render_account()


@blueprint.post("/account/profile")
@login_required
def change_profile() -> Response | tuple[str, int]:
    """Change name and language."""
    form, user = _profile_form(), current_visitor().user
    if form.validate():
        try:
            users.set_profile(
                user.tenant, user.id, name=form.name.data, language=form.language.data, now=now(),
                entropy=panel_state().entropy,
            )  # fmt: skip
        except CatalogueError as error:
            form.name.errors = [*team.field_errors(error).values()]
        else:
            response = redirect(url_for("account.show"), 303)
            # The choice in this browser would go before the person's own.
            response.delete_cookie(cookie_name("language", panel_state().config), path="/")
            flash(_("Saved."))
            return response
    return render_account(profile=form), 422


@blueprint.post("/account/password")
@login_required
def change_password() -> Response | tuple[str, int]:
    """Change the password; other sessions end."""
    form, found = PasswordForm(request.form), current_visitor()
    user, state, signer = found.user, panel_state(), changes().signer
    if not form.validate():
        return render_account(password=form), 422
    attempt = Attempt(user.login)
    if not verify_password(user.password_hash, form.current.data):
        form.current.errors = [_("This is not your current password.")]
        return render_account(password=form), 422
    attempt.take_back()
    try:
        hashed = hash_new_password(form.password.data, user.login, user.name, found.tenant.name)
    except CatalogueError as error:
        form.password.errors = [*team.field_errors(error).values()]
        return render_account(password=form), 422
    users.set_password(
        user.tenant, user.id, hashed, now=now(), entropy=state.entropy, signer=signer, trust=changes().trust,
    )  # fmt: skip
    notices.tell(user, account_mail.PASSWORD_CHANGED)
    response = redirect(url_for("account.show"), 303)
    renew_session(response)
    flash(_("Your password is changed. Other devices are logged out."))
    return response


@blueprint.post("/account/sessions/<session_id>/end")
@login_required
def end_session(session_id: str) -> Response:
    """Log another device out."""
    user, entropy = current_visitor().user, panel_state().entropy
    if not users.end_session(user, session_id, now=now(), entropy=entropy):
        abort(404)
    flash(_("That device is logged out."))
    return redirect(url_for("account.show"), 303)


@blueprint.post("/account/sessions/end")
@login_required
def end_other_sessions() -> Response:
    """Log all other devices out."""
    found = current_visitor()
    users.end_sessions(found.user, now=now(), entropy=panel_state().entropy, keep=found.session.id)
    flash(_("All other devices are logged out."))
    return redirect(url_for("account.show"), 303)


def _notification_kinds() -> dict[str, str]:
    """What the visitor chooses to be told, by kind."""
    kinds = KINDS if current_visitor().admin else COLLEAGUES_KINDS
    return {kind: text for kind, text in labels("notification_kind").items() if kind in kinds}


def _profile_form() -> ProfileForm:
    form = ProfileForm(request.form)
    form.language.choices = [(code, NAMES[code]) for code in NAMES if code in panel_state().config.languages]
    return form


def render_account(
    profile: ProfileForm | None = None,
    password: PasswordForm | None = None,
    refused: RefusedName | None = None,
) -> str:
    """The account page, with the form that was refused as it was sent."""
    found = current_visitor()
    if profile is None:
        profile = _profile_form()
        profile.name.data, profile.language.data = found.user.name, found.user.language
    return render_template(
        "account/show.html",
        profile=profile,
        password=password or PasswordForm(),
        refused=refused,
        shortest=passwords.SHORTEST,
        longest_name=LONGEST_NAME,
        factors=service().current(found.user),
        sessions=users.sessions(found.user, now()),
        describe=devices.describe,
        network=devices.network(),
        b64=b64,
        notifications=notifications.choices_of(found.tenant.id, found.user.id)
        if found.user.role in (ADMIN, CUSTOMER)
        else None,
        notification_kinds=_notification_kinds(),
        channels=labels("notification_channel"),
    )
