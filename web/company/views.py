"""The page of a customer's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.domain import names
from recorder.errors import CatalogueError
from recorder.features.tenants import service
from recorder.features.tenants.setting_sources import company_sources
from recorder.identity import users
from web.account.limits import limiter
from web.decorators import admins_only
from web.gate import gate, who
from web.registration.company import zone_choices
from web.state import current_visitor, login_required, now, panel_state, visitor
from web.text import errors as error_text

blueprint = Blueprint("company", __name__, template_folder="templates")

LONGEST_ENTRY: Final = 300

FIELDS: Final = ("company", "time_zone")
"""The fields that can be wrong."""

limit_renaming = limiter.limit(
    "20/hour",
    key_func=lambda: current_visitor().tenant.id,
    methods=["POST"],
    scope="company",
    exempt_when=lambda: visitor() is None,
)
"""A refused name says that another customer has it."""

for_admins = admins_only(lambda _arguments: "/")


@blueprint.get("/company")
@login_required
@for_admins
def edit_company() -> str:
    tenant = current_visitor().tenant
    return _page({"company": tenant.name, "time_zone": tenant.time_zone}, {})


@blueprint.post("/company")
@login_required
@limit_renaming
@for_admins
def save_company() -> ResponseReturnValue:
    """Change the customer's name and time zone, or neither."""
    tenant = current_visitor().tenant
    entered = {name: request.form.get(name, "")[:LONGEST_ENTRY].strip() for name in FIELDS}
    try:
        service.set_tenant(
            tenant.id,
            name=names.tidy(entered["company"], "the customer's name", "tenant.name_missing"),
            language=tenant.language,
            time_zone=entered["time_zone"],
            who=current_visitor().user.id,
            now=now(),
            entropy=panel_state().entropy,
        )
    except CatalogueError as error:
        field = error_text.field(error.error_id, FIELDS)
        if field is None:
            raise
        return _page(entered, {field: error_text.error(error.error_id)}), 422
    flash(_("Saved."), "done")
    return redirect(url_for(".edit_company"), 303)


def _page(entered: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    return render_template(
        "company/edit.html",
        entered=entered,
        errors=wrong,
        zones=zone_choices(),
        sources=company_sources(current_visitor().tenant.id),
        names={each.id: each.name for each in users.users(current_visitor().tenant.id)},
        leaving=gate().leaver(who()) is not None,
    )
