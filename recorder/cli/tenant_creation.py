"""``accord tenant create`` and ``accord tenant invite``: make a customer, alone or with its first admin."""

from __future__ import annotations

from collections.abc import Sequence

import click

from recorder.catalogue.database import writing
from recorder.catalogue.records import TenantRow
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

LANGUAGE = click.option("--language", type=click.Choice(LANGUAGES), default="fr", show_default=True)
SPEAKS = click.option(
    "--speaks",
    type=click.Choice(LANGUAGES),
    multiple=True,
    default=DEFAULT_LANGUAGES,
    show_default=True,
    help="Languages that its lines may speak.",
)
TIME_ZONE = click.option("--time-zone", default="Europe/Brussels", show_default=True)
COUNTRY = click.option(
    "--country", default="be", show_default=True, help="Its country pack: `accord country list`."
)
PLAN = click.option("--plan", default=plans.STARTER, show_default=True, help="Its plan: `accord plan list`.")


@click.command("create")
@click.argument("name")
@LANGUAGE
@SPEAKS
@TIME_ZONE
@COUNTRY
@PLAN
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


@click.command("invite")
@click.argument("name")
@click.argument("address")
@click.option("--admin", default="", help="The admin's name, as the panel greets them; default: the address.")
@LANGUAGE
@SPEAKS
@TIME_ZONE
@COUNTRY
@PLAN
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
    reset-password` sends another one."""
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
