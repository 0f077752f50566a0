"""The customer that a command is about."""

from __future__ import annotations

import click

from recorder.catalogue import tenant_queries
from recorder.catalogue.records import TenantRow
from recorder.domain import names
from recorder.errors import CatalogueError

TENANT = click.option("--tenant", "tenant_name", required=True, help="The customer's id or name.")


def find_tenant(name: str) -> TenantRow:
    """The customer with an id or a name.  Raises :class:`CatalogueError` where none or several match."""
    found = [
        row
        for row in tenant_queries.all_tenants()
        if row.id == name or names.fold(row.name) == names.fold(name)
    ]
    if len(found) != 1:
        raise CatalogueError(
            "tenant.unknown" if not found else "tenant.ambiguous",
            f"there is no customer {name!r}" if not found else f"several customers are called {name!r}",
            "`accord tenant list` shows their ids",
        )
    return found[0]
