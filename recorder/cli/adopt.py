"""``accord tenant adopt``: enter a tenant that only the bucket has."""

from __future__ import annotations

import os

import click

from recorder.catalogue import queries
from recorder.cli.output import json_option
from recorder.cli.tenant_name import find_tenant, tenant_argument
from recorder.cli.tenants import print_tenant
from recorder.clock import utc_now
from recorder.features.tenants import service
from recorder.features.tenants.default_lines import give_shipped
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import open_sources


@click.command()
@tenant_argument
@click.argument("name")
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="fr",
    show_default=True,
    help="The tenant's own language.",
)
@click.option("--country", help="The country pack (`accord country list`); default: unchanged.")
@json_option
@click.pass_obj
def adopt(context: Context, tenant_name: str, name: str, language: str, country: str | None) -> None:
    """Name a tenant that `accord rebuild` found.

    Announcements are created if it has none."""
    context.open_catalogue()
    found, now = find_tenant(tenant_name), utc_now()
    if country is not None:
        service.set_tenant_country(found.id, country, now=now, entropy=os.urandom)
    service.set_tenant(found.id, name=name, language=language, now=now, entropy=os.urandom)
    if not queries.announcements(found.id):
        give_shipped(find_tenant(found.id), now, os.urandom, open_sources(context.settings.prompts))
    print_tenant(found.id)
