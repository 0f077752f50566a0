"""``accord tenant set``: a tenant's name, plan, country, and the rules of its numbers."""

from __future__ import annotations

import os

import click

from recorder.catalogue.database import writing
from recorder.cli.output import json_option
from recorder.cli.tenant_name import find_tenant, tenant_argument
from recorder.cli.tenants import print_tenant
from recorder.clock import utc_now
from recorder.features.tenants import service
from recorder.lifecycle import plans
from recorder.lifecycle.line_rules import ALONE, STRICTER
from recorder.processes.services import Context


@click.command("set")
@tenant_argument
@click.option("--name", help="Another name, in the panel and in mails.")
@click.option("--plan", help="Another plan (`accord plan list`), from the next call on.")
@click.option("--country", help="The country pack that applies to it (`accord country list`).")
@click.option(
    "--number-rules",
    type=click.Choice((STRICTER, ALONE)),
    help="What its numbers from other countries follow: the stricter rules of both countries, as long as "
    "nothing else is decided, or those of the tenant's country alone.",
)
@json_option
@click.pass_obj
def set_tenant(
    context: Context,
    tenant_name: str,
    name: str | None,
    plan: str | None,
    country: str | None,
    number_rules: str | None,
) -> None:
    """Change a tenant's name, plan, country, or number rules.

    All are changed, or none. Another country begins with the stricter rules again. Another plan shortens
    nothing that was announced, agreed or is kept. Numbers that announce more than the plan has go on until
    somebody changes them."""
    if name is None and plan is None and country is None and number_rules is None:
        raise click.UsageError("nothing to change: give --name, --plan, --country or --number-rules")
    context.open_catalogue()
    owner, now = find_tenant(tenant_name), utc_now()
    with writing():
        if name is not None:
            service.set_tenant(owner.id, name=name, language=owner.language, now=now, entropy=os.urandom)
        if country is not None:
            alone = number_rules == ALONE
            service.set_tenant_country(owner.id, country, alone=alone, now=now, entropy=os.urandom)
        elif number_rules is not None:
            service.decide_country(owner.id, alone=number_rules == ALONE, now=now, entropy=os.urandom)
        if plan is not None:
            plans.change_plan(owner.id, plan, now=now, entropy=os.urandom)
    print_tenant(owner.id)
