"""The pages of the provider's people."""

from __future__ import annotations

from datetime import date

import structlog
from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder import csv_rows
from recorder.catalogue.database import writing
from recorder.catalogue.tenant_queries import customers
from recorder.domain import time_zones
from recorder.domain.roles import ADMIN, OPERATOR
from recorder.errors import CatalogueError
from recorder.features.fleet.doctor_reports import doctor_reports
from recorder.features.fleet.service import node_reports, worst_state
from recorder.features.provider import service
from recorder.features.team.invitations import IssuedInvitation
from recorder.features.tenants.registration import Registration
from recorder.features.usage import service as usage
from recorder.lifecycle.plans import plan_code, plans
from recorder.seal.amendment import By
from web.decorators import admins_only
from web.language import current_language
from web.playback.retention_view import zone
from web.provider.form import LINK, CustomerForm, read_form
from web.provider.months import last_day, months_since, parse_month, shift
from web.registration.company import form_choices
from web.state import current_visitor, login_required, now, page_faults, panel_state
from web.team.operations import invitations
from web.team.views import LIMIT, REFUSALS, public_link, refusal
from web.text import provider as text

PAGE = 100
"""Customers of a page."""

MONTHS = 12
"""Months in the CSV file, up to the one that is shown."""

log = structlog.get_logger()

blueprint = Blueprint("provider", __name__, template_folder="templates")

for_operators = admins_only(lambda _view_args: "/", (OPERATOR,))


@blueprint.get("/customers")
@login_required
@for_operators
def list_customers() -> str:
    """The customers, what each recorded in a month, and whether the nodes are well."""
    months = _months()
    month = parse_month(request.args.get("month", ""), months)
    after, query = request.args.get("after", ""), request.args.get("q", "").strip()[:100]
    found = service.find_customers(query, PAGE) if query else service.list_customers(after, PAGE + 1)
    (customer_count, line_count), nodes = service.count_all(), node_reports()
    counted = {each.tenant: each for each in usage.everyones_months(month, last_day(month))}
    return render_template(
        "provider/customers.html",
        months=months,
        month=month,
        customers=found[:PAGE],
        counted=counted,
        customer_count=customer_count,
        line_count=line_count,
        node_count=len(nodes),
        node_state=worst_state(nodes, now()),
        fault_count=sum(len(each.wrong) for each in doctor_reports(page_faults()).values()),
        after=after,
        query=query,
        more=found[PAGE - 1].tenant.id if len(found) > PAGE else "",
        text=text,
    )


@blueprint.get("/customers.csv")
@login_required
@for_operators
def download_usage() -> Response:
    """A line for each month and customer with recorded calls, of the twelve months up to the chosen one."""
    month = parse_month(request.args.get("month", ""), _months())
    first = shift(month, 1 - MONTHS)
    heading = (
        _("Month"), _("Customer’s id"), _("Customer"), _("Plan"), _("Calls"), _("Minutes"), _("Bytes"),
    )  # fmt: skip
    lines = ["\ufeff", csv_rows.row(map(str, heading))]
    names = {row.id: (row.name, plan_code(row.id)) for row in customers()}
    for each in usage.everyones_months(first, last_day(month)):
        counted = each.calls, round(each.duration_ms / 60_000, 3), each.bytes
        cells = f"{each.month:%Y-%m}", each.tenant, *names.get(each.tenant, ("", ""))
        lines.append(csv_rows.row([*cells, *counted]))
    name = f"customers-{first:%Y-%m}-{month:%Y-%m}.csv"
    return Response(
        "".join(lines),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@blueprint.get("/nodes")
@login_required
@for_operators
def list_nodes() -> str:
    """How each node is, by what its worker last reported, and what the doctor last found there."""
    nodes, checked = node_reports(), doctor_reports(page_faults())
    return render_template(
        "provider/nodes.html",
        nodes=nodes,
        checks={**dict.fromkeys(each.node for each in nodes), **checked},
        now=now(),
        zone=zone(),
        text=text,
    )


@blueprint.route("/customers/invite", methods=["GET", "POST"])
@login_required
@for_operators
@LIMIT
def invite_customer() -> ResponseReturnValue:
    """Create a customer, and invite its first admin by mail, or by a link that is shown."""
    registration = panel_state().registration
    if registration is None:
        abort(404)
    if request.method != "POST":
        return _invite_page(
            CustomerForm(language=current_language(), plan=registration.plan, country=registration.country)
        )
    form = read_form(request, panel_state().config.languages)
    if form.errors:
        return _invite_page(form), 422
    try:
        issued = _invite(form, registration)
    except CatalogueError as error:
        form.refuse(error)  # the name or the address was taken meanwhile, or the name is in use
        return _invite_page(form), 422
    return _issued(issued, form.name)


@blueprint.post("/customers/<tenant_id>/invitation")
@login_required
@for_operators
@LIMIT
def renew_invitation(tenant_id: str) -> ResponseReturnValue:
    """Send the invitation again of a customer to whose panel nobody has access yet: by mail, where that can
    be sent, so that only who was invited gets the link."""
    found = service.find_invitation(tenant_id)
    try:
        if found is None:
            raise CatalogueError(
                "invitation.unknown",
                f"nobody has an open invitation to {tenant_id}",
                "invite somebody: `accord user invite`",
            )
        invitation_id, name = found
        issued = invitations().renew(tenant_id, invitation_id, By("operator"))
    except REFUSALS as error:
        refusal(error)
        flash(_("This invitation has ended."), "wrong")
        return redirect(url_for(".list_customers"), 303)
    log.info("invitation.renewed", tenant=tenant_id, user=current_visitor().user.id)
    return _issued(issued, name)


def _invite(form: CustomerForm, registration: Registration) -> IssuedInvitation:
    operator = current_visitor().user
    with writing():  # both or neither
        row = registration.create_customer(
            form.company,
            language=form.language,
            languages=form.languages,
            time_zone=form.time_zone,
            country=form.country,
            plan=form.plan,
            by=operator,
            now=now(),
        )
        issued = invitations().invite(
            row.id,
            address=form.login,
            name=form.name,
            role=ADMIN,
            lines=None,
            language=form.language,
            by=By("operator"),
            mail=form.how != LINK,
        )
    log.info("tenant.invited", tenant=row.id, user=operator.id)
    return issued


def _issued(issued: IssuedInvitation, name: str) -> ResponseReturnValue:
    if issued.mailed:
        flash(_("The invitation is on its way to %(address)s.", address=issued.address), "done")
        return redirect(url_for(".list_customers"), 303)
    return render_template(
        "team/link.html",
        link=public_link(issued.path),
        name=name,
        address=issued.address,
        kind="invitation",
        back=_("Back to the customers"),
        back_address=url_for(".list_customers"),
    )


def _invite_page(form: CustomerForm) -> str:
    return render_template(
        "provider/invite.html",
        form=form,
        errors=form.errors,
        plans=[(code, each.name(current_language())) for code, each in plans().items()],
        sends=panel_state().outbox.sends,
        **form_choices(),
    )


def _months() -> list[date]:
    zone = time_zones.display_zone(current_visitor().tenant.time_zone)
    return months_since(usage.first_day(), now().astimezone(zone).date())
