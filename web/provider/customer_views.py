"""The page of one customer: what support is asked for on the telephone."""

from __future__ import annotations

from flask import abort, render_template

from recorder.catalogue import queries
from recorder.catalogue.records import TenantRow
from recorder.domain.roles import PROVIDER
from recorder.features.provider.customer_facts import read_facts
from web.playback.retention_view import zone
from web.provider.views import blueprint, for_operators
from web.state import changes, login_required, now
from web.text import provider as text


@blueprint.get("/customers/<tenant_id>")
@login_required
@for_operators
def show_customer(tenant_id: str) -> str:
    """A customer's plan, numbers, people, the time of the last call, and what does not work."""
    tenant = find_customer(tenant_id)
    return render_template(
        "provider/customer.html",
        tenant=tenant,
        facts=read_facts(tenant, changes().trust, now()),
        now=now(),
        zone=zone(),
        text=text,
    )


def find_customer(tenant_id: str) -> TenantRow:
    """The customer that a page is about; 404 for anything else."""
    found = None if tenant_id == PROVIDER else queries.tenant(tenant_id)
    if found is None:
        abort(404)
    return found
