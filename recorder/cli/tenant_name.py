"""The tenant that a command is about, or the provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.records import TenantRow
from recorder.domain import names
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError

TENANT = click.option(
    "--tenant", "tenant_name", metavar="TENANT", required=True, help="The tenant's id or name."
)

tenant_argument = click.argument("tenant_name", metavar="TENANT")

Command = TypeVar("Command", bound=Callable[..., object])


def owner_options(command: Command) -> Command:
    """Decorates commands about the people or the log of a tenant, or of the provider, whom ``tenant_name``
    then names (:func:`find_owner`)."""
    tenant = click.option("--tenant", "tenant_name", metavar="TENANT", help="The tenant's id or name.")
    provider = click.option(
        "--provider", "tenant_name", flag_value=PROVIDER, help="The provider itself, in place of a tenant."
    )
    return tenant(provider(command))


def find_owner(name: str | None) -> TenantRow:
    """The tenant with an id or a name, or the provider.  Raises :class:`click.UsageError` for neither,
    :class:`CatalogueError` as :func:`find_tenant`."""
    if name is None:
        raise click.UsageError("name a tenant with --tenant, or else say --provider")
    if name != PROVIDER:
        return find_tenant(name)
    found = queries.tenant(PROVIDER)
    if found is None:
        raise CatalogueError(
            "tenant.unknown",
            "none of the provider's people was invited so far",
            "`accord user invite --provider --role operator ADDRESS` invites the first",
        )
    return found


def find_tenant(name: str) -> TenantRow:
    """The tenant with an id or a name.  Raises :class:`CatalogueError` where none or several match."""
    found = [
        row
        for row in tenant_queries.customers()
        if row.id == name or names.fold(row.name) == names.fold(name)
    ]
    if len(found) != 1:
        raise CatalogueError(
            "tenant.unknown" if not found else "tenant.ambiguous",
            f"there is no tenant {name!r}" if not found else f"several tenants are called {name!r}",
            "`accord tenant list` shows their ids",
        )
    return found[0]
