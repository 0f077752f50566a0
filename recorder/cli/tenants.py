"""``accord tenant``: tenants. To list them takes few modules; other commands are imported by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record
from recorder.cli.tenant_name import find_tenant, tenant_argument
from recorder.features.provider.service import SUSPENDED, Customer, describe_customer, list_customers
from recorder.lifecycle import line_rules
from recorder.lifecycle.line_rules import ALONE, STRICTER

if TYPE_CHECKING:
    from recorder.processes.services import Context

COLUMNS = ("id", "name", "language", "country", "plan", "lines", "people", "state")

PAGE: Final = 500


@click.group(
    cls=LazyGroup,
    lazy={
        "create": LazyCommand("tenant_creation", "create_tenant"),
        "invite": LazyCommand("tenant_creation", "invite_tenant"),
        "adopt": LazyCommand("adopt", "adopt"),
        "import": LazyCommand("customer_import", "import_customers"),
        "set": LazyCommand("tenant_settings", "set_tenant"),
        "suspend": LazyCommand("suspension", "suspend_tenant"),
        "resume": LazyCommand("suspension", "resume_tenant"),
    },
)
def tenant() -> None:
    """Tenants: create, list, show and change them."""


@tenant.command("list")
@json_option
@click.pass_obj
def list_tenants(context: Context) -> None:
    """List the tenants."""
    context.open_catalogue()
    print_list("tenants", map(customer_record, _every_customer()), COLUMNS)


def _every_customer() -> Iterator[Customer]:
    last = ""
    while page := list_customers(last, PAGE):
        yield from page
        last = page[-1].tenant.id


@tenant.command("show")
@tenant_argument
@json_option
@click.pass_obj
def show_tenant(context: Context, tenant_name: str) -> None:
    """Show a tenant: settings, numbers, people, and faults.

    Also the plan, invitations and the time of the last call, as on its page in the provider's console."""
    from recorder.cli.tenant_facts import facts_record

    context.open_catalogue()
    row = find_tenant(tenant_name)
    print_record({**tenant_record(row.id), **facts_record(row, context.trust())})


def print_tenant(tenant_id: str) -> None:
    """Print a tenant as it is now."""
    print_record(tenant_record(tenant_id))


def tenant_record(tenant_id: str) -> Record:
    """A tenant as it is now."""
    record = customer_record(describe_customer(find_tenant(tenant_id)))
    return {**record, "number_rules": ALONE if line_rules.is_alone(tenant_id) else STRICTER}


def customer_record(row: Customer) -> Record:
    """A tenant; ``leaves_at`` is the day of its departure, planned or past, ``suspended_at`` since when it
    is suspended."""
    return {
        **fields_of(row.tenant, "id", "name", "language", "languages", "time_zone", "country"),
        "plan": row.plan,
        "lines": row.lines,
        "people": row.users,
        "state": row.state,
        "leaves_at": None if row.state == SUSPENDED else row.at,
        "suspended_at": row.at if row.state == SUSPENDED else None,
        "created_at": row.tenant.created_at,
    }
