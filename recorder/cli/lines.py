"""``accord line``: numbers that are recorded, what they say and how they ask."""

from __future__ import annotations

import os

import click

from recorder.catalogue import customers, queries
from recorder.catalogue.rows import FORMATS, MODES, LineRow, TenantRow
from recorder.cli.context import Context
from recorder.cli.customers import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.errors import CatalogueError


@click.group()
def line() -> None:
    """Numbers that are recorded."""


@line.command("add")
@TENANT
@click.argument("number")
@click.option(
    "--announcement", "announcement_id", help="Its id; default: the shipped one in the customer's language."
)
@click.option("--label", default="")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, default=("opus",), show_default=True
)
@click.option(
    "--mode", type=click.Choice(MODES), help="Default: the laxest that the customer's country allows."
)
@click.pass_obj
def add_line(
    context: Context,
    tenant_name: str,
    number: str,
    announcement_id: str | None,
    label: str,
    formats: tuple[str, ...],
    mode: str | None,
) -> None:
    """Switch recording on for a number, as the dialplan routes it. Prints the line's id."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    click.echo(make_line(owner, number, announcement_id, owner.language, label, formats, mode))


def make_line(
    owner: TenantRow,
    number: str,
    announcement_id: str | None,
    language: str,
    label: str,
    formats: tuple[str, ...],
    mode: str | None = None,
) -> str:
    """A line's id.  Raises :class:`CatalogueError`."""
    if announcement_id is None:
        name = f"shipped-{language}"
        offered = [row for row in queries.announcements(owner.id) if row.name == name]
        if not offered:
            raise CatalogueError(
                "announcement.unknown", f"there is no announcement {name}", "name one: --announcement"
            )
        announcement_id = offered[0].id
    return customers.create_line(
        owner.id,
        number=number,
        announcement=announcement_id,
        label=label,
        formats=formats,
        mode=mode,
        now=utc_now(),
        entropy=os.urandom,
    ).id


@line.command("list")
@TENANT
@click.pass_obj
def list_lines(context: Context, tenant_name: str) -> None:
    """A customer's numbers: id, number, label, announcement, formats, mode."""
    context.open_catalogue()
    for row in queries.lines(find_tenant(tenant_name).id):
        formats = ",".join(row.formats)
        click.echo(f"{row.id}  {row.number}  {row.label or '-'}  {row.announcement}  {formats}  {row.mode}")


@line.command("end")
@TENANT
@click.argument("number")
@click.pass_obj
def end_line(context: Context, tenant_name: str, number: str) -> None:
    """Record a number no more; its recordings stay whose they are."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    customers.end_line(row.tenant, row.id, now=utc_now(), entropy=os.urandom)


@line.command("announce")
@TENANT
@click.argument("number")
@click.argument("announcement_id", metavar="ANNOUNCEMENT")
@click.pass_obj
def announce_line(context: Context, tenant_name: str, number: str, announcement_id: str) -> None:
    """Let a number say another announcement (its id), or its next version, from the next call on."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    customers.set_line_announcement(row.tenant, row.id, announcement_id, now=utc_now(), entropy=os.urandom)


@line.command("mode")
@TENANT
@click.argument("number")
@click.argument("mode", type=click.Choice(MODES))
@click.pass_obj
def change_mode(context: Context, tenant_name: str, number: str, mode: str) -> None:
    """Announce only (notice), let a key refuse (opt-out), or wait for a yes (opt-in), from now on."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    customers.set_line_mode(row.tenant, row.id, mode, now=utc_now(), entropy=os.urandom)


def find_line(owner: TenantRow, number: str) -> LineRow:
    """A customer's line by its number.  Raises :class:`CatalogueError`."""
    digits = number.removeprefix("+")
    found = next((row for row in queries.lines(owner.id) if row.number.removeprefix("+") == digits), None)
    if found is None:
        raise CatalogueError("line.unknown", f"{owner.name} has no line {number}", "see `accord line list`")
    return found
