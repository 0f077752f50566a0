"""The page of one customer: what support is asked for on the telephone, and what it can do then."""

from __future__ import annotations

import structlog
from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.domain import names
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError
from recorder.features.provider.customer_facts import read_facts
from recorder.features.provider.service import find_customers
from recorder.features.tenants import default_lines, service
from recorder.identity import users
from recorder.lifecycle import line_rules, suspension
from web.playback.retention_view import zone
from web.provider.pending_changes import pending_changes
from web.provider.views import blueprint, for_operators
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import errors
from web.text import provider as text
from web.text.proposals import proposed_by_us

CHOICES = 20
"""Customers to choose from, of those that a search finds."""

log = structlog.get_logger()


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
        decided=line_rules.find_decision(tenant.id),
        pending=pending_changes(tenant),
        names=operator_names(),
        now=now(),
        zone=zone(),
        text=text,
        proposed_by=proposed_by_us,
    )


def operator_names() -> dict[str, str]:
    """The names of the provider's people by id."""
    return {each.id: each.name for each in users.users(PROVIDER)}


def find_customer(tenant_id: str) -> TenantRow:
    """The customer that a page is about; 404 for anything else."""
    found = None if tenant_id == PROVIDER else queries.tenant(tenant_id)
    if found is None:
        abort(404)
    return found


def find_line(tenant: TenantRow, line_id: str | None) -> LineRow | None:
    """The customer's number that a page is about, if it is about one; 404 for anything else."""
    if line_id is None:
        return None
    found = queries.line(tenant.id, line_id)
    if found is None or found.until is not None:
        abort(404)
    return found


@blueprint.get("/customers/<tenant_id>/suspension", defaults={"line_id": None})
@blueprint.get("/customers/<tenant_id>/numbers/<line_id>/suspension")
@login_required
@for_operators
def ask_suspension(tenant_id: str, line_id: str | None) -> str:
    """What it means to suspend a customer, or one number; and the form."""
    tenant = find_customer(tenant_id)
    return _suspension_page(tenant, find_line(tenant, line_id), "", {})


@blueprint.post("/customers/<tenant_id>/suspension", defaults={"line_id": None})
@blueprint.post("/customers/<tenant_id>/numbers/<line_id>/suspension")
@login_required
@for_operators
def suspend(tenant_id: str, line_id: str | None) -> ResponseReturnValue:
    """Suspend a customer, or one number."""
    tenant = find_customer(tenant_id)
    line, reason = find_line(tenant, line_id), request.form.get("reason", "")[:1000]
    try:
        suspension.suspend(tenant.id, line_id, reason=reason, now=now(), entropy=panel_state().entropy)
    except CatalogueError as error:
        if error.error_id != "suspension.reason":
            raise
        return _suspension_page(tenant, line, reason, {"reason": errors.error(error.error_id)}), 422
    log.info("tenant.suspended", tenant=tenant.id, line=line_id, user=current_visitor().user.id)
    flash(_("Recording is suspended from the next call on. The customer’s admins are told."), "done")
    return redirect(url_for(".show_customer", tenant_id=tenant.id), 303)


@blueprint.post("/customers/<tenant_id>/resume", defaults={"line_id": None})
@blueprint.post("/customers/<tenant_id>/numbers/<line_id>/resume")
@login_required
@for_operators
def resume(tenant_id: str, line_id: str | None) -> ResponseReturnValue:
    """Resume a customer, or one number."""
    tenant = find_customer(tenant_id)
    find_line(tenant, line_id)
    if suspension.resume(tenant.id, line_id, now=now(), entropy=panel_state().entropy):
        log.info("tenant.resumed", tenant=tenant.id, line=line_id, user=current_visitor().user.id)
        flash(_("Recording goes on from the next call on. The customer’s admins are told."), "done")
    return redirect(url_for(".show_customer", tenant_id=tenant.id), 303)


@blueprint.route("/customers/<tenant_id>/name", methods=["GET", "POST"])
@login_required
@for_operators
def rename(tenant_id: str) -> ResponseReturnValue:
    """Give a customer another name."""
    tenant = find_customer(tenant_id)
    if request.method != "POST":
        return _name_page(tenant, tenant.name, {})
    entry = request.form.get("company", "")[:1000]
    try:
        name = names.tidy(entry, "the customer's name", "tenant.name_missing")
        if name != tenant.name:
            language, entropy = tenant.language, panel_state().entropy
            service.set_tenant(tenant.id, name=name, language=language, now=now(), entropy=entropy)
            log.info("tenant.renamed", tenant=tenant.id, user=current_visitor().user.id)
    except CatalogueError as error:
        if errors.field(error.error_id, ("company",)) is None:
            raise
        return _name_page(tenant, entry, {"company": errors.error(error.error_id)}), 422
    flash(_("Saved."), "done")
    return redirect(url_for(".show_customer", tenant_id=tenant.id), 303)


@blueprint.get("/customers/<tenant_id>/numbers/<line_id>/move")
@login_required
@for_operators
def choose_owner(tenant_id: str, line_id: str) -> str:
    """Look for the customer that a number moves to."""
    tenant = find_customer(tenant_id)
    return _move_page(tenant, find_line(tenant, line_id), {})


@blueprint.post("/customers/<tenant_id>/numbers/<line_id>/move")
@login_required
@for_operators
def move_number(tenant_id: str, line_id: str) -> ResponseReturnValue:
    """Move a number to another customer, who starts afresh."""
    tenant, to_id = find_customer(tenant_id), request.form.get("to", "")
    line = find_line(tenant, line_id)
    to = None if to_id in (PROVIDER, tenant.id) else queries.tenant(to_id)
    if to is None or line is None:
        return _move_page(tenant, line, {"to": _("Choose the customer.")}), 422
    try:
        new = default_lines.move_line(
            line, to, sources=panel_state().sources, now=now(), entropy=panel_state().entropy
        )
    except CatalogueError as error:
        if error.error_id != "tenant.offboarding_announced":
            raise
        return _move_page(tenant, line, {"to": _("This customer is leaving.")}), 422
    log.info("line.moved", line=line.id, new=new, tenant=tenant.id, to=to.id, user=current_visitor().user.id)
    flash(_("The number has moved. It is not recorded until its new customer sets it up."), "done")
    return redirect(url_for(".show_customer", tenant_id=to.id), 303)


def _name_page(tenant: TenantRow, entry: str, mistakes: dict[str, str]) -> str:
    return render_template("provider/name.html", tenant=tenant, entry=entry, errors=mistakes)


def _move_page(tenant: TenantRow, line: LineRow | None, mistakes: dict[str, str]) -> str:
    query = request.values.get("q", "").strip()[:100]
    found = find_customers(query, CHOICES + 1) if query else []
    others = [each.tenant for each in found if each.tenant.id != tenant.id]
    return render_template(
        "provider/move.html",
        tenant=tenant,
        line=line,
        query=query,
        customers=[(each.id, each.name) for each in others[:CHOICES]],
        has_more=len(others) > CHOICES,
        errors=mistakes,
    )


def _suspension_page(tenant: TenantRow, line: LineRow | None, reason: str, mistakes: dict[str, str]) -> str:
    return render_template(
        "provider/suspension.html", tenant=tenant, line=line, reason=reason, errors=mistakes
    )
