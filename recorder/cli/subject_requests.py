"""``accord subject-request``: subject requests that the provider enters for a tenant."""

from __future__ import annotations

import os
from datetime import date

import click

from recorder.catalogue import erased_call_queries, subject_request_queries, tenant_queries
from recorder.catalogue.records import TenantRow
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.day import DAY
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record, print_result
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import to_iso, utc_now
from recorder.errors import ConfigError
from recorder.features.subject_requests import call_erasure, reviews, rules, service, verification_code
from recorder.lifecycle import bucket_statements
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES

OPERATOR = "operator"

COLUMNS = ("id", "tenant", "number", "wants", "received_on", "due_on", "overdue", "state", "erased_calls")


@click.group()
def subject_request() -> None:
    """Subject requests: people who ask for their recordings."""


@subject_request.command("list")
@click.option("--tenant", "tenant_name", metavar="TENANT", help="The tenant's id or name; default: all.")
@click.option("--open", "open_only", is_flag=True, help="Open requests only.")
@json_option
@click.pass_obj
def list_requests(context: Context, tenant_name: str | None, open_only: bool) -> None:
    """List the requests: open ones first, by their due day."""
    context.open_catalogue()
    owners = {each.id: each for each in tenant_queries.customers()}
    found = subject_request_queries.requests(None if tenant_name is None else find_tenant(tenant_name).id)
    rows = (_record(each, owners[each.tenant]) for each in found if each.open or not open_only)
    print_list("subject_requests", rows, COLUMNS)


def _record(row: RequestRow, owner: TenantRow) -> Record:
    verified = f"verified by {row.verified_how}" if row.verified_how else "not verified"
    return {
        **fields_of(row, "id", "tenant", "number", "wants", "language", "received_on", "due_on"),
        "overdue": row.overdue(rules.local_day(owner.time_zone, utc_now())),
        "state": row.closed_how or verified,
        "extension_reason": row.extension_reason,
        "verified_at": row.verified_at,
        "closed_at": row.closed_at,
        "erased_calls": erased_call_queries.count_by_request(row.tenant).get(row.id, 0),
    }


@subject_request.command("show")
@click.argument("request")
@TENANT
@json_option
@click.pass_obj
def show(context: Context, request: str, tenant_name: str) -> None:
    """Show a REQUEST, and the decision about each recording."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = service.find_request(owner.id, request)
    call = verification_code.latest_call(owner.id, request)
    print_record({
        **_record(row, owner),
        "vouchers": [
            {"at": at, "statement": statement}
            for at, statement in (
                (row.vouched_at, row.vouched_statement),
                (row.verified_at, row.verified_statement),
            )
            if at and statement
        ],
        "call": None if call is None else {"outcome": call.outcome or "in progress", "tries": call.tries},
        "recordings": [
            {
                "recording": each.recording,
                "given": each.given or "to be reviewed",
                "exported_at": each.exported_at,
                "erased_at": each.erased_at,
                "kept_reason": each.kept_reason,
            }
            for each in sorted(
                reviews.reviews_of(owner.id, request).values(), key=lambda each: each.recording
            )
        ],
    })  # fmt: skip


@subject_request.command("add")
@click.argument("number")
@TENANT
@click.option(
    "--wants",
    type=click.Choice(subject_request_queries.WANTS),
    default=subject_request_queries.COPY,
    show_default=True,
    help="What the person asks for.",
)
@click.option(
    "--language", type=click.Choice(LANGUAGES), help="The person's language; default: the tenant's."
)
@click.option("--received", type=DAY, help="The day of receipt; default: today.")
@json_option
@click.pass_obj
def add(
    context: Context,
    number: str,
    tenant_name: str,
    wants: str,
    language: str | None,
    received: date | None,
) -> None:
    """Enter the request of a person. Prints its id.

    NUMBER is the person's. The tenant's admins find the request in their panel."""
    context.open_catalogue()
    owner, now = find_tenant(tenant_name), utc_now()
    row = service.enter(
        owner.id,
        number=number,
        wants=wants,
        language=language or owner.language,
        received_on=received or rules.local_day(owner.time_zone, now),
        by_kind=OPERATOR,
        by=None,
        now=now,
        entropy=os.urandom,
    )
    print_result(_record(row, owner), row.id)


@subject_request.command("call")
@click.argument("request")
@TENANT
@json_option
@click.pass_obj
def call(context: Context, request: str, tenant_name: str) -> None:
    """Call the number of a REQUEST, and say a code.

    In the panel the code proves whose number it is."""
    context.open_catalogue()
    if not context.settings.verification_calls.dial:
        raise ConfigError(
            "subject_request.dial",
            "this node cannot call external numbers",
            "set [verification_calls] dial to sofia/gateway/<name>/{number}, or have two of the tenant's "
            "people vouch for the person in the panel",
        )
    owner = find_tenant(tenant_name)
    verification_code.order_call(
        owner.id, request, who=OPERATOR, now=utc_now(), entropy=os.urandom, policy=context.call_policy()
    )
    print_result(
        _record(service.find_request(owner.id, request), owner),
        "The number is being called; `accord subject-request show` shows the result.",
    )


@subject_request.command("extend")
@click.argument("request")
@TENANT
@click.option("--reason", required=True, help="The reason, in a sentence, as the person is told.")
@json_option
@click.pass_obj
def extend(context: Context, request: str, tenant_name: str, reason: str) -> None:
    """Extend a REQUEST by two months, once, within its first month."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    service.extend(owner.id, request, why=reason, who=None, now=utc_now(), entropy=os.urandom)
    print_record(_record(service.find_request(owner.id, request), owner))


@subject_request.command("close")
@click.argument("request")
@TENANT
@click.option("--how", type=click.Choice(rules.CLOSED_HOW), required=True, help="The outcome.")
@json_option
@confirmation_options
@click.pass_obj
def close(context: Context, request: str, tenant_name: str, how: str) -> None:
    """Close a REQUEST."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = service.find_request(owner.id, request)
    confirm(
        f"Close it as {how}?",
        {**_record(row, owner), "closes_as": how},
        f"Request {row.id} of {owner.name}: {row.wants} for {row.number}, received {row.received_on}, due "
        f"{row.due_on}. A closed request is not opened again.",
    )
    service.close(owner.id, request, how=how, who=None, now=utc_now(), entropy=os.urandom)
    print_record(_record(service.find_request(owner.id, request), owner))


@subject_request.command("erase-again")
@TENANT
@click.option("--believe-dates", is_flag=True, help="Trust notes that a revoked key dated before.")
@json_option
@confirmation_options
@click.pass_obj
def erase_again(context: Context, tenant_name: str, believe_dates: bool) -> None:
    """Erase calls without a recording again, after a restore.

    After a restore or rebuild, signed notes in the bucket say which were erased for their person. Nothing is
    done while the holds are unconfirmed, or the log is not reopened."""
    context.open_catalogue()
    owner, changes = find_tenant(tenant_name), context.changes()
    found = bucket_statements.read_statements(
        changes.store, changes.root, changes.revoked(), believe_dates=believe_dates, tenant=owner.id
    )
    if not found.notes:
        print_result({"tenant": owner.id, "erased_calls": 0}, "There is nothing to erase again.")
        return
    confirm(
        "This cannot be undone. Erase them?",
        {
            "tenant": owner.id,
            "requests": [
                {"request": each.note.request, "erased_at": each.note.at, "calls": len(each.calls)}
                for each in found.notes
            ],
        },
        *(
            f"request {each.note.request}: {len(each.calls)} calls, erased {to_iso(each.note.at)}"
            for each in found.notes
        ),
    )
    count = call_erasure.erase_calls_again(changes, owner.id, believe_dates=believe_dates)
    print_result({"tenant": owner.id, "erased_calls": count}, f"{count} calls erased.")
