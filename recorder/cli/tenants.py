"""``accord tenant``: customers. To list them takes few modules; other commands are imported by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recorder.catalogue import tenant_queries
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.lifecycle import plans

if TYPE_CHECKING:
    from recorder.processes.services import Context


@click.group(
    cls=LazyGroup,
    lazy={
        "create": LazyCommand("tenant_creation", "create_tenant"),
        "invite": LazyCommand("tenant_creation", "invite_tenant"),
        "adopt": LazyCommand("adopt", "adopt"),
        "import": LazyCommand("customer_import", "import_customers"),
        "set": LazyCommand("tenant_settings", "set_tenant"),
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
