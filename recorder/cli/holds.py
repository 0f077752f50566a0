"""``accord hold``: legal holds, which suspend expiry and deletion."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import click

from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.day import DAY
from recorder.cli.output import Record, fields_of, json_option, print_list, print_result
from recorder.cli.recording_id import find_recording, recording_argument
from recorder.cli.tenant_name import find_owner, find_tenant
from recorder.cli.users import find_user
from recorder.clock import to_iso, utc_now
from recorder.domain.roles import ADMIN
from recorder.errors import RetentionError
from recorder.lifecycle import amendments
from recorder.lifecycle.amendments import HoldRow
from recorder.processes.services import Context
from recorder.seal.amendment import By

OPERATOR = By("operator")
REASON = click.option(
    "--reason", required=True, help="The reason, in a sentence: it is signed, and stays in the log."
)

COLUMNS = ("recording", "number", "tenant", "since", "review_at", "review_due", "purposes", "roles", "reason")


@click.group()
def hold() -> None:
    """Legal holds: recordings that expiry and deletion skip."""


@hold.command("list")
@click.option("--tenant", "tenant_name", metavar="TENANT", help="The tenant's id or name; default: all.")
@json_option
@click.pass_obj
def list_holds(context: Context, tenant_name: str | None) -> None:
    """List the holds that are set, oldest first."""
    context.open_catalogue()
    now = utc_now()
    found = amendments.holds(None if tenant_name is None else find_tenant(tenant_name).id)
    print_list("holds", (hold_record(each, now) for each in found), COLUMNS)


def hold_record(row: HoldRow, now: datetime) -> Record:
    """A hold; ``review_due``: the day of its review has come."""
    return {
        **fields_of(
            row, "recording", "number", "tenant", "purposes", "roles", "owner", "reason", "since", "review_at"
        ),
        "review_due": row.review_at <= now,
    }


@hold.command("set")
@recording_argument
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    default=("agreement",),
    show_default=True,
    help="A purpose for which it may be heard meanwhile; repeatable.",
)
@click.option("--owner", required=True, help="The log-in of the person responsible for the hold.")
@click.option(
    "--review",
    required=True,
    type=DAY,
    help="The latest day of its review, within a year.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=(ADMIN,),
    show_default=True,
    help="A role that may still listen; repeatable.",
)
@REASON
@json_option
@click.pass_obj
def set_hold(
    context: Context,
    recording_id: str,
    purposes: tuple[str, ...],
    owner: str,
    review: date,
    roles: tuple[str, ...],
    reason: str,
) -> None:
    """Hold a recording until the hold is lifted.

    Nothing ends it meanwhile, and it is heard for the hold's purposes alone."""
    context.open_catalogue()
    row = find_recording(recording_id)
    user = find_user(find_owner(row.tenant), owner)
    changes = context.changes()
    number = changes.hold(
        changes.look(row.tenant, row.id),
        OPERATOR,
        owner=user.id,
        purposes=purposes,
        reason=reason,
        review_at=datetime.combine(review, time(), UTC),
        roles=roles,
    )
    found = next(each for each in amendments.holds(row.tenant, row.id) if each.number == number)
    print_result(hold_record(found, utc_now()), f"Hold {number} of {row.id} is set.")


@hold.command("confirm-order")
@recording_argument
@json_option
@confirmation_options
@click.pass_obj
def confirm_order(context: Context, recording_id: str) -> None:
    """Confirm, as the second person, an authority's order to erase.

    An admin of the tenant has entered it in the panel. An erasure then no longer waits for the outcome
    of the open question; both sides see that the provider confirmed the order."""
    from recorder.features.disputes.authority_orders import AuthorityOrders
    from recorder.features.disputes.service import Disputes

    context.open_catalogue()
    row = find_recording(recording_id)
    orders = AuthorityOrders(Disputes(context.changes()))
    found = orders.find_unconfirmed(row.tenant, row.id)
    assert found.order is not None
    record = {"dispute": found.id, "authority": found.order.authority, "reference": found.order.reference}
    confirm(
        "Confirm the order?",
        {"recording": row.id, **record},
        f"{found.order.authority}, {found.order.reference}, entered {to_iso(found.order.at)}.",
        "What was asked for then takes effect, and nobody can undo it.",
    )
    orders.confirm_by(OPERATOR, found.tenant, found.id)
    print_result({"recording": row.id, **record}, "The order is confirmed: nothing waits any more.")


@hold.command("lift")
@recording_argument
@click.argument("number", type=click.IntRange(min=1))
@REASON
@json_option
@confirmation_options
@click.pass_obj
def lift_hold(context: Context, recording_id: str, number: int, reason: str) -> None:
    """Lift a hold by its NUMBER (`accord hold list`).

    A recording that has expired meanwhile is erased."""
    context.open_catalogue()
    row, changes = find_recording(recording_id), context.changes()
    status = changes.look(row.tenant, row.id)
    found = next((each for each in status.terms.holds if each.number == number), None)
    if found is None:
        raise RetentionError(
            "retention.no_hold",
            f"it has no hold {number}, or the hold was lifted",
            "`accord hold list` shows the holds that are set",
        )
    erases = len(status.terms.holds) == 1 and status.now >= status.terms.until
    ends = "it has expired: the worker erases it" if erases else f"kept until {to_iso(status.terms.until)}"
    confirm(
        "Lift the hold?",
        {"recording": row.id, "number": number, "keep_until": status.terms.until, "erases": erases},
        f"Hold {number} of {row.id}, set {to_iso(found.since)}: {found.data.reason}",
        f"Without it, {ends}.",
    )
    changes.lift(status, OPERATOR, hold=number, reason=reason)
    print_result(
        {"recording": row.id, "number": number, "keep_until": status.terms.until, "erases": erases},
        f"Hold {number} of {row.id} is lifted.",
    )
