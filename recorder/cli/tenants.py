"""``accord tenant``: set up customers."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from recorder.catalogue import tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import TenantRow
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.cli.users import LINK, OPERATOR, open_invitations, print_link
from recorder.clock import utc_now
from recorder.domain.roles import ADMIN
from recorder.features.tenants.registration import Registration
from recorder.lifecycle import plans
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import open_sources

DEFAULT_LANGUAGES = ("fr", "en")
"""What a new customer's lines may speak where nothing else is said."""


@click.group()
def tenant() -> None:
    """Customers."""


_LANGUAGE = click.option("--language", type=click.Choice(LANGUAGES), default="fr", show_default=True)
_SPEAKS = click.option(
    "--speaks",
    type=click.Choice(LANGUAGES),
    multiple=True,
    default=DEFAULT_LANGUAGES,
    show_default=True,
    help="Languages that its lines may speak.",
)
_TIME_ZONE = click.option("--time-zone", default="Europe/Brussels", show_default=True)
_COUNTRY = click.option(
    "--country", default="be", show_default=True, help="Its country pack: `accord country list`."
)
_PLAN = click.option(
    "--plan", default=plans.STARTER, show_default=True, help="Its plan: `accord tenant plans`."
)


@tenant.command("create")
@click.argument("name")
@_LANGUAGE
@_SPEAKS
@_TIME_ZONE
@_COUNTRY
@_PLAN
@click.pass_obj
def create_tenant(
    context: Context,
    name: str,
    language: str,
    speaks: tuple[str, ...],
    time_zone: str,
    country: str,
    plan: str,
) -> None:
    """Make a customer with a key of its own, and announcements for its country; prints its id."""
    context.open_catalogue()
    row = make_tenant(
        context, name, language=language, languages=speaks, time_zone=time_zone, country=country, plan=plan
    )
    click.echo(row.id)


@tenant.command("invite")
@click.argument("name")
@click.argument("address")
@click.option("--admin", default="", help="The admin's name, as the panel greets them; default: the address.")
@_LANGUAGE
@_SPEAKS
@_TIME_ZONE
@_COUNTRY
@_PLAN
@LINK
@click.pass_obj
def invite_tenant(
    context: Context,
    name: str,
    address: str,
    admin: str,
    language: str,
    speaks: tuple[str, ...],
    time_zone: str,
    country: str,
    plan: str,
    link: bool,
) -> None:
    """Make a customer, and invite its first admin, who chooses a password and sets up the rest in the panel.

    Mails the link, or prints it where no mail can be sent. It works once within seven days; `accord user
    reset` sends another one."""
    context.open_catalogue()
    with writing():  # both or neither
        row = make_tenant(
            context,
            name,
            language=language,
            languages=speaks,
            time_zone=time_zone,
            country=country,
            plan=plan,
        )
        issued = open_invitations(context).invite(
            row.id, address=address, name=admin or address, role=ADMIN, lines=None, language=language,
            by=OPERATOR, mail=not link,
        )  # fmt: skip
    click.echo(row.id)
    print_link(context, issued.path, issued.address if issued.mailed else "")


def make_tenant(
    context: Context,
    name: str,
    *,
    language: str,
    languages: Sequence[str] = DEFAULT_LANGUAGES,
    time_zone: str,
    country: str,
    plan: str = plans.STARTER,
) -> TenantRow:
    """Create a customer whose wrapped key is in the catalogue (the worker copies it to the bucket before the
    first recording), with announcements of its own in all its languages, for the laxest mode that its
    country allows.  Raises :class:`SealError` where the key-encryption key is not the one that wraps the
    existing customers' keys: two would be in use."""
    return Registration(context.keyring(), sources=open_sources(context.settings.prompts)).create_customer(
        name,
        language=language,
        languages=languages,
        time_zone=time_zone,
        country=country,
        plan=plan,
        now=utc_now(),
    )


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
