"""``accord tenant``: customers. To list them takes few modules; other commands are imported by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from recorder.catalogue import tenant_queries
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.lifecycle import plans

if TYPE_CHECKING:
    from recorder.processes.services import Context


@click.group(
    cls=LazyGroup,
    lazy={
        "create": LazyCommand("tenant_creation", "create_tenant"),
        "invite": LazyCommand("tenant_creation", "invite_tenant"),
        "adopt": LazyCommand("adopt", "adopt"),
        "leave": LazyCommand("offboarding", "leave"),
    },
)
def tenant() -> None:
    """Customers."""


@tenant.command("list")
@click.pass_obj
def list_tenants(context: Context) -> None:
    """Customers, one a line: id, name, language, country, plan."""
    context.open_catalogue()
    for row in tenant_queries.customers():
        click.echo(f"{row.id}  {row.name}  {row.language}  {row.country}  {plans.plan_code(row.id)}")


@tenant.command("plan")
@TENANT
@click.argument("plan")
@click.pass_obj
def change_plan(context: Context, tenant_name: str, plan: str) -> None:
    """Give a customer another PLAN (`accord tenant plans`), from the next call on.

    Nothing that was announced, agreed or is kept becomes shorter. Numbers that announce more than the plan
    has go on until somebody changes them."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    plans.change_plan(owner.id, plan, now=utc_now(), entropy=os.urandom)


@tenant.command("plans")
@click.pass_obj
def list_plans(context: Context) -> None:
    """The plans that there are: code, features, longest retention in days, formats."""
    for each in plans.load_plans(context.settings.web.plans or plans.FILE).values():
        longest = "-" if each.longest_keep_days is None else each.longest_keep_days
        features = ",".join(sorted(each.features)) or "-"
        click.echo(f"{each.code}  {features}  {longest}  {','.join(each.formats)}")
