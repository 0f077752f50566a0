"""``accord subject-request``: subject requests that the provider enters for a customer."""

from __future__ import annotations

import os
from datetime import datetime

import click

from recorder.catalogue import erased_call_queries, subject_request_queries, tenant_queries
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import to_iso, utc_now
from recorder.errors import ConfigError
from recorder.features.subject_requests import call_erasure, reviews, rules, service, verification_code
from recorder.lifecycle import bucket_statements
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES

OPERATOR = "operator"


@click.group()
def subject_request() -> None:
    """People who ask for their recordings: what they asked, and by when it is answered."""


@subject_request.command("list")
@click.option("--tenant", "tenant_name", help="The customer's id or name; default: all.")
@click.option("--open", "open_only", is_flag=True, help="Only what is not closed.")
@click.pass_obj
def list_requests(context: Context, tenant_name: str | None, open_only: bool) -> None:
    """The register: what is open first, by its day."""
    context.open_catalogue()
    now = utc_now()
    zones = {each.id: each.time_zone for each in tenant_queries.customers()}
    erased = {
        request: calls
        for tenant in zones
        for request, calls in erased_call_queries.count_by_request(tenant).items()
    }
    for each in subject_request_queries.requests(
        None if tenant_name is None else find_tenant(tenant_name).id
    ):
        if open_only and not each.open:
            continue
        late = "  OVERDUE" if each.overdue(rules.local_day(zones[each.tenant], now)) else ""
        state = each.closed_how or (f"shown by {each.verified_how}" if each.verified_how else "not shown yet")
        state += f"  {erased[each.id]} calls not recorded, erased" if each.id in erased else ""
        click.echo(
            f"{each.id}  {each.number}  {each.wants}  received {each.received_on}  due {each.due_on}"
            f"  {state}  {each.tenant}{late}"
        )


@subject_request.command("add")
@click.argument("number")
@TENANT
@click.option(
    "--wants",
    type=click.Choice(subject_request_queries.WANTS),
    default=subject_request_queries.COPY,
    show_default=True,
)
@click.option("--language", type=click.Choice(LANGUAGES), help="Default: the customer's.")
@click.option(
    "--received", type=click.DateTime(["%Y-%m-%d"]), help="The day it was received; default: today."
)
@click.pass_obj
def add(
    context: Context,
    number: str,
    tenant_name: str,
    wants: str,
    language: str | None,
    received: datetime | None,
) -> None:
    """Write down what somebody with this NUMBER asks; the customer's admins find it in their panel."""
    context.open_catalogue()
    tenant, now = find_tenant(tenant_name), utc_now()
    row = service.enter(
        tenant.id,
        number=number,
        wants=wants,
        language=language or tenant.language,
        received_on=received.date() if received else rules.local_day(tenant.time_zone, now),
        by_kind=OPERATOR,
        by=None,
        now=now,
        entropy=os.urandom,
    )
    click.echo(f"{row.id}  {row.number}  due {row.due_on}")


@subject_request.command("show")
@click.argument("request")
@TENANT
@click.pass_obj
def show(context: Context, request: str, tenant_name: str) -> None:
    """A REQUEST, and what was decided and done of each recording."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    row = service.find_request(tenant, request)
    click.echo(f"{row.number}  {row.wants}  received {row.received_on}  due {row.due_on}")
    if row.extension_reason:
        click.echo(f"extended: {row.extension_reason}")
    for at, statement in ((row.vouched_at, row.vouched_statement), (row.verified_at, row.verified_statement)):
        if at and statement:
            click.echo(f"vouched for {to_iso(at)}: {statement}")
    if row.verified_at:
        click.echo(f"shown {to_iso(row.verified_at)} by {row.verified_how}")
    elif call := verification_code.latest_call(tenant, request):
        click.echo(f"call: {call.outcome or 'in progress'}, {call.tries} tries")
    if row.closed_how:
        click.echo(f"closed: {row.closed_how}")
    if calls := erased_call_queries.count_by_request(tenant).get(request):
        click.echo(f"calls without a recording: {calls} erased")
    for each in sorted(reviews.reviews_of(tenant, request).values(), key=lambda each: each.recording):
        facts = [f"given: {each.given or 'to be reviewed'}"]
        facts += [f"exported {to_iso(each.exported_at)}"] if each.exported_at else []
        facts += [f"erased {to_iso(each.erased_at)}"] if each.erased_at else []
        facts += [f"kept: {each.kept_reason}"] if each.kept_reason else []
        click.echo(f"  {each.recording}  {', '.join(facts)}")


@subject_request.command("call")
@click.argument("request")
@TENANT
@click.pass_obj
def call(context: Context, request: str, tenant_name: str) -> None:
    """Have the number of a REQUEST called with a code, which whoever answers hears."""
    context.open_catalogue()
    if not context.settings.persons.dial:
        raise ConfigError(
            "subject_request.dial",
            "this node cannot call external numbers",
            "set [persons] dial to sofia/gateway/<name>/{number}, or have two of the customer's people vouch "
            "for the person in the panel",
        )
    tenant = find_tenant(tenant_name).id
    verification_code.order_call(tenant, request, who=OPERATOR, now=utc_now(), entropy=os.urandom)
    click.echo("The number is being called; `accord subject-request show` shows the result.")


@subject_request.command("extend")
@click.argument("request")
@TENANT
@click.option("--why", required=True, help="What the person is told, in a sentence.")
@click.pass_obj
def extend(context: Context, request: str, tenant_name: str, why: str) -> None:
    """Two further months for a REQUEST, once, within its first."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    service.extend(tenant, request, why=why, who=None, now=utc_now(), entropy=os.urandom)
    click.echo(f"due {service.find_request(tenant, request).due_on}")


@subject_request.command("close")
@click.argument("request")
@TENANT
@click.option("--how", type=click.Choice(rules.CLOSED_HOW), required=True)
@click.pass_obj
def close(context: Context, request: str, tenant_name: str, how: str) -> None:
    """A REQUEST has ended."""
    context.open_catalogue()
    service.close(find_tenant(tenant_name).id, request, how=how, who=None, now=utc_now(), entropy=os.urandom)
    click.echo("Closed.")


@subject_request.command("erase-again")
@TENANT
@click.option("--believe-dates", is_flag=True, help="Follow notes that a revoked key dated before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase_again(context: Context, tenant_name: str, believe_dates: bool, yes: bool) -> None:
    """Erase again, after a restore or rebuild, calls without a recording that signed notes in the bucket say
    were erased for their person."""

    context.open_catalogue()
    tenant = find_tenant(tenant_name)
    changes = context.changes()
    revoked = changes.revoked()
    found = bucket_statements.read_statements(
        changes.store, changes.root, revoked, believe_dates=believe_dates, tenant=tenant.id
    )
    for each in found.notes:
        click.echo(f"request {each.note.request}, erased {to_iso(each.note.at)}: {len(each.calls)} calls")
    if not found.notes:
        click.echo("There is nothing to erase again.")
        return
    if not yes:
        click.confirm("This cannot be undone. Erase them?", abort=True)
    result = call_erasure.erase_calls_again(changes, tenant.id, believe_dates=believe_dates)
    click.echo(f"{result} calls erased.")
