"""``accord hold``: legal holds, which suspend expiry and deletion."""

from __future__ import annotations

from datetime import UTC, datetime, time

import click

from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import to_iso, utc_now
from recorder.domain.roles import ADMIN
from recorder.errors import CatalogueError
from recorder.identity import users
from recorder.lifecycle import amendments
from recorder.processes.services import Context
from recorder.seal.amendment import By

OPERATOR = By("operator")
REASON = click.option("--reason", required=True, help="Why, in a sentence; it is signed and stays.")


@click.group()
def hold() -> None:
    """Recordings that must not go, for a dispute for instance."""


@hold.command("set")
@click.argument("recording")
@TENANT
@click.option("--purpose", "purposes", multiple=True, default=("agreement",), show_default=True)
@click.option("--owner", required=True, help="The log-in of whoever answers for it.")
@click.option(
    "--review",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="When it is looked at again, at the latest.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=(ADMIN,),
    show_default=True,
    help="Who may still listen.",
)
@REASON
@click.pass_obj
def set_hold(
    context: Context,
    recording: str,
    tenant_name: str,
    purposes: tuple[str, ...],
    owner: str,
    review: datetime,
    roles: tuple[str, ...],
    reason: str,
) -> None:
    """Hold a RECORDING: it is kept until the hold is lifted, and heard for the hold's purposes alone."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    user = next((each for each in users.users(tenant) if each.login == owner), None)
    if user is None:
        raise CatalogueError(
            "user.unknown", f"nobody logs in as {owner!r}", "`accord user list` shows the log-ins"
        )
    context.changes().hold(
        tenant,
        recording,
        OPERATOR,
        owner=user.id,
        purposes=purposes,
        reason=reason,
        review_at=datetime.combine(review.date(), time(), UTC),
        roles=roles,
    )
    click.echo(f"{recording} is on legal hold.")


@hold.command("lift")
@click.argument("recording")
@click.argument("number", type=click.IntRange(min=1))
@TENANT
@REASON
@click.pass_obj
def lift_hold(context: Context, recording: str, number: int, tenant_name: str, reason: str) -> None:
    """Lift the hold of that NUMBER (`accord hold list`): what has ended meanwhile goes then."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    context.changes().lift(tenant, recording, OPERATOR, hold=number, reason=reason)
    click.echo(f"Hold {number} of {recording} is lifted.")


@hold.command("list")
@click.option("--tenant", "tenant_name", help="The customer's id or name; default: all.")
@click.pass_obj
def list_holds(context: Context, tenant_name: str | None) -> None:
    """The holds that are set, oldest first."""
    context.open_catalogue()
    now = utc_now()
    for each in amendments.holds(None if tenant_name is None else find_tenant(tenant_name).id):
        over = "  REVIEW DUE" if each.review_at <= now else ""
        click.echo(
            f"{each.recording}  {each.number}  since {to_iso(each.since)}  {', '.join(each.purposes)}"
            f"  may listen: {', '.join(each.roles)}  review by {to_iso(each.review_at)[:10]}{over}"
        )
        click.echo(f"    {each.tenant}  owner {each.owner}: {each.reason}")
