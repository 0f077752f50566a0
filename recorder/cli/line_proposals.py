"""``accord line proposal``: changes of numbers that wait for an answer of their tenant's admins."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import click
import structlog

from recorder.catalogue import queries
from recorder.catalogue.records import KeepOptions, LineRow, TenantRow
from recorder.cli.line_number import find_line
from recorder.cli.lines import keep_record
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record, print_result
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.features.tenants import setup
from recorder.features.tenants.line_proposals import drop_proposals
from recorder.features.tenants.lines import announcement_unknown
from recorder.lifecycle.line_proposals import UNCHANGED, LineProposal, find_proposals
from recorder.processes.services import Context

log = structlog.get_logger()

COLUMNS = ("number", "proposed", "before", "after")


@click.group()
def proposal() -> None:
    """Changes of numbers that wait for the tenant's yes.

    `accord line set` proposes what promises callers more than the tenant agreed to."""


@proposal.command("list")
@TENANT
@json_option
@click.pass_obj
def list_proposals(context: Context, tenant_name: str) -> None:
    """List what waits for an answer of a tenant's admins."""
    context.open_catalogue()
    print_list("proposals", _records(find_tenant(tenant_name)), COLUMNS)


@proposal.command("show")
@TENANT
@click.argument("number")
@json_option
@click.pass_obj
def show_proposal(context: Context, tenant_name: str, number: str) -> None:
    """Show what is proposed for a number."""
    context.open_catalogue()
    line, pending = _find(find_tenant(tenant_name), number)
    print_record(_record(line, pending))


@proposal.command("withdraw")
@TENANT
@click.argument("number")
@json_option
@click.pass_obj
def withdraw_proposal(context: Context, tenant_name: str, number: str) -> None:
    """Withdraw what is proposed for a number.

    Callers hear what they hear now."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    line, pending = _find(owner, number)
    if not drop_proposals(owner.id, {line.id: pending.number}, now=utc_now(), entropy=os.urandom):
        raise _unknown(line)
    log.info("line.proposal_withdrawn", tenant=owner.id, line=line.id)
    print_result(_record(line, pending), f"withdrawn: nothing changes for {line.number}")


def _find(owner: TenantRow, number: str) -> tuple[LineRow, LineProposal]:
    line = find_line(owner, number)
    pending = find_proposals(owner.id).get(line.id)
    if pending is None:
        raise _unknown(line)
    return line, pending


def _unknown(line: LineRow) -> CatalogueError:
    return CatalogueError(
        "line.no_proposal",
        f"nothing is proposed for {line.number}",
        "`accord line proposal list` shows what waits for an answer",
    )


def _records(owner: TenantRow) -> Iterator[Record]:
    proposals = find_proposals(owner.id)
    for line in queries.lines(owner.id):
        if line.id in proposals:
            yield _record(line, proposals[line.id])


def _record(line: LineRow, pending: LineProposal) -> Record:
    keep = line.keep if pending.keep is UNCHANGED else pending.keep
    return {
        **fields_of(line, "id", "tenant", "number"),
        "proposed": pending.at,
        "person": pending.person,
        "before": _promise(line.tenant, line.announcements, line.keep),
        "after": _promise(line.tenant, pending.announcements, keep),
    }


def _promise(tenant: str, announcements: Sequence[str], keep: KeepOptions | None) -> Record:
    rows = {row.id: row for row in queries.announcements(tenant)}
    if missing := {*announcements} - rows.keys():
        raise announcement_unknown(min(missing))
    settings = setup.settings_of([rows[each] for each in announcements])
    return {
        **fields_of(settings, "mode", "purposes", "keep_days", "languages"),
        "keep_question": keep_record(keep),
    }
