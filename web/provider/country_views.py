"""The country of a customer, and what the provider decides about its numbers from other countries."""

from __future__ import annotations

import structlog
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue.records import TenantRow
from recorder.errors import CatalogueError
from recorder.features.tenants import service
from recorder.lifecycle import line_rules
from recorder.lifecycle.line_rules import ALONE, STRICTER
from recorder.prompts.country_file import shipped_packs
from web.playback.retention_view import zone
from web.provider.customer_views import find_customer, operator_names
from web.provider.views import blueprint, for_operators
from web.state import current_visitor, login_required, now, panel_state
from web.text import errors
from web.text import provider as text
from web.text.numbers import country_choice

log = structlog.get_logger()


@blueprint.get("/customers/<tenant_id>/country")
@login_required
@for_operators
def edit_country(tenant_id: str) -> str:
    tenant = find_customer(tenant_id)
    return _page(tenant, tenant.country, ALONE if line_rules.is_alone(tenant.id) else STRICTER, {})


@blueprint.post("/customers/<tenant_id>/country")
@login_required
@for_operators
def save_country(tenant_id: str) -> ResponseReturnValue:
    tenant, country = find_customer(tenant_id), request.form.get("country", "")[:40]
    alone = request.form.get("rules") == ALONE
    user, entropy = current_visitor().user, panel_state().entropy
    try:
        if country != tenant.country:
            service.set_tenant_country(
                tenant.id, country, alone=alone, person=user.id, now=now(), entropy=entropy
            )
        else:
            service.decide_country(tenant.id, alone=alone, person=user.id, now=now(), entropy=entropy)
    except CatalogueError as error:
        if errors.field(error.error_id, ("country",)) is None:
            raise
        return _page(
            tenant, country, ALONE if alone else STRICTER, {"country": errors.error(error.error_id)}
        ), 422
    log.info("tenant.country_set", tenant=tenant.id, country=country, alone=alone, user=user.id)
    flash(_("Saved."), "done")
    return redirect(url_for(".show_customer", tenant_id=tenant.id), 303)


def _page(tenant: TenantRow, country: str, decision: str, errors: dict[str, str]) -> str:
    return render_template(
        "provider/country.html",
        tenant=tenant,
        country=country,
        countries=[(code, country_choice(code)) for code in shipped_packs()],
        rules=[
            (STRICTER, _("The stricter rules of both countries")),
            (ALONE, _("Only the rules of the country above")),
        ],
        decision=decision,
        decided=line_rules.find_decision(tenant.id),
        names=operator_names(),
        zone=zone(),
        errors=errors,
        text=text,
    )
