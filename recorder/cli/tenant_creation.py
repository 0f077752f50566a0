"""``accord tenant create`` and ``accord tenant invite``: make a tenant, alone or with its first admin."""

from __future__ import annotations

from collections.abc import Sequence

import click

from recorder.catalogue.database import writing
from recorder.catalogue.records import TenantRow
from recorder.cli.output import json_option, print_result
from recorder.cli.tenants import tenant_record
from recorder.cli.users import LINK, OPERATOR, issued_record, link_sentence, open_invitations
from recorder.clock import utc_now
from recorder.domain.roles import ADMIN
from recorder.features.tenants.registration import Registration
from recorder.lifecycle import plans
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import open_sources

DEFAULT_LANGUAGES = ("fr", "en")
"""What a new tenant's lines may speak where nothing else is said."""

LANGUAGE = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="fr",
    show_default=True,
    help="The tenant's own language.",
)
SPEAKS = click.option(
    "--speaks",
    type=click.Choice(LANGUAGES),
    multiple=True,
    default=DEFAULT_LANGUAGES,
    show_default=True,
    help="Languages that its lines may speak.",
)
TIME_ZONE = click.option(
    "--time-zone", default="Europe/Brussels", show_default=True, help="Its IANA time zone."
)
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
@json_option
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
    """Create a tenant. Prints its id.

    It gets a key of its own, and announcements for its country."""
    context.open_catalogue()
    row = make_tenant(
        context, name, language=language, languages=speaks, time_zone=time_zone, country=country, plan=plan
    )
    print_result(tenant_record(row.id), row.id)


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
@json_option
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
    """Create a tenant, and invite its first admin.

    Prints its id. The admin chooses a password and sets up the rest in the panel. The link is mailed, or
    printed if no mail can be sent. It works once within seven days; `accord user reset-password` sends
    another one."""
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
    link_record = issued_record(context, issued.address, issued.path, mailed=issued.mailed)
    print_result({**tenant_record(row.id), "invitation": link_record}, row.id, link_sentence(link_record))


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
    """Create a tenant whose wrapped key is in the catalogue (the worker copies it to the bucket before the
    first recording), with announcements of its own in all its languages, for the laxest mode that its
    country allows.  Raises :class:`SealError` where the key-encryption key is not the one that wraps the
    existing tenants' keys: two would be in use."""
    return Registration(context.keyring(), sources=open_sources(context.settings.prompts)).create_customer(
        name,
        language=language,
        languages=languages,
        time_zone=time_zone,
        country=country,
        plan=plan,
        now=utc_now(),
    )
