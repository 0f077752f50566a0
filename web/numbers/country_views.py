"""The country whose rules apply: the customer chooses it until something was recorded, then its provider."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.errors import CatalogueError
from recorder.features.tenants import service
from recorder.prompts.country_file import shipped_packs
from web.numbers.blueprint import blueprint
from web.numbers.setup_views import for_admins
from web.state import changes, current_visitor, login_required, now
from web.text import errors
from web.text.numbers import country_choice


@blueprint.get("/numbers/country")
@login_required
@for_admins
def edit_country() -> str:
    return _page(current_visitor().tenant.country, {})


@blueprint.post("/numbers/country")
@login_required
@for_admins
def save_country() -> ResponseReturnValue:
    tenant, user, office = current_visitor().tenant, current_visitor().user, changes()
    country = request.form.get("country", "")[:40]
    try:
        service.choose_country(
            tenant.id, country, who=user.id, store=office.store, root=office.root, now=now(),
            entropy=office.entropy,
        )  # fmt: skip
    except CatalogueError as error:
        if errors.field(error.error_id, ("country",)) is None:
            raise
        return _page(country, {"country": errors.error(error.error_id)}), 422
    flash(_("Saved."), "done")
    return redirect(url_for(".show"), 303)


def _page(country: str, errors: dict[str, str]) -> str:
    tenant = current_visitor().tenant
    return render_template(
        "numbers/country.html",
        tenant=tenant,
        country=country,
        countries=[(code, country_choice(code)) for code in shipped_packs()],
        errors=errors,
        is_free=not service.has_recorded(tenant.id),
    )
