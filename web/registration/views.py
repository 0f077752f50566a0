"""The page on which a company registers."""

from __future__ import annotations

import structlog
from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from recorder.errors import CatalogueError
from recorder.features.tenants.registration import NewAdmin, Registration
from recorder.mail.address import normalize_address
from recorder.prompts.purposes import LANGUAGES
from web.account.limits import limiter
from web.account.passwords import hash_password
from web.account.views import complete_log_in
from web.language import current_language
from web.registration.company import form_choices, suggest_place
from web.registration.form import RegistrationForm, read_form
from web.state import now, panel_state, visitor

log = structlog.get_logger()

blueprint = Blueprint("registration", __name__, template_folder="templates")

limit_attempts = limiter.limit("20/hour; 60/day", methods=["POST"])
limit_customers = limiter.limit(
    "3/hour; 10/day", methods=["POST"], deduct_when=lambda answer: answer.status_code == 303
)


@blueprint.app_context_processor
def registration_link() -> dict[str, object]:
    """Whether the log-in page offers to register."""
    found = panel_state().registration
    return {"can_register": found is not None and found.is_open}


@blueprint.route("/register", methods=["GET", "POST"])
@limit_attempts
@limit_customers
def register() -> ResponseReturnValue:
    registration = _registration()
    if visitor() is not None:
        return redirect(url_for("call_list.home"))
    if request.method == "GET":
        language = current_language()
        languages = (language,) if language in LANGUAGES else ()
        return _page(
            RegistrationForm(languages=languages, **suggest_place(registration.country)), registration
        )
    form, password = read_form(request, registration)
    if form.errors:
        return _page(form, registration), 422
    admin = NewAdmin(normalize_address(form.login), form.name, current_language(), hash_password(password))
    try:
        answer = _create(form, admin, registration)
    except CatalogueError as error:
        form.refuse(error)  # somebody else took the name or the address meanwhile, or the name is in use
        return _page(form, registration), 422
    return answer


def _create(form: RegistrationForm, admin: NewAdmin, registration: Registration) -> Response:
    user = registration.register(
        form.company,
        admin,
        languages=form.languages,
        time_zone=form.time_zone,
        country=form.country,
        now=now(),
    )
    log.info("tenant.registered", tenant=user.tenant, user=user.id)
    return complete_log_in(user, user.login, None)


def _registration() -> Registration:
    """How customers register here; 404 where they cannot."""
    found = panel_state().registration
    if found is None or not found.is_open:
        abort(404)
    return found


def _page(form: RegistrationForm, registration: Registration) -> str:
    return render_template(
        "registration/register.html",
        form=form,
        errors=form.errors,
        needs_code=registration.needs_code,
        **form_choices(),
    )
