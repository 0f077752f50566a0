"""``accord tenant suspend``, ``accord line suspend``, and ``resume`` of both."""

from __future__ import annotations

import os

import click

from recorder.catalogue.records import TenantRow
from recorder.cli.line_number import find_line
from recorder.cli.lines import print_line
from recorder.cli.output import json_option
from recorder.cli.tenant_name import TENANT, find_tenant, tenant_argument
from recorder.cli.tenants import print_tenant
from recorder.clock import utc_now
from recorder.lifecycle import suspension
from recorder.processes.services import Context

REASON = click.option("--reason", required=True, help="Why; the tenant's admins read it in the access log.")


@click.command("suspend")
@tenant_argument
@REASON
@json_option
@click.pass_obj
def suspend_tenant(context: Context, tenant_name: str, reason: str) -> None:
    """Suspend recording for all numbers of a tenant.

    From the next call on, calls go on unannounced and unrecorded, and are listed as not recorded. Recordings
    stay and can be heard. The tenant's admins are told."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    suspension.suspend(owner.id, reason=reason, now=utc_now(), entropy=os.urandom)
    print_tenant(owner.id)


@click.command("resume")
@tenant_argument
@json_option
@click.pass_obj
def resume_tenant(context: Context, tenant_name: str) -> None:
    """Resume recording for a suspended tenant.

    Numbers that were suspended by themselves stay so."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    suspension.resume(owner.id, now=utc_now(), entropy=os.urandom)
    print_tenant(owner.id)


@click.command("suspend")
@TENANT
@click.argument("number")
@REASON
@json_option
@click.pass_obj
def suspend_line(context: Context, tenant_name: str, number: str, reason: str) -> None:
    """Suspend recording for a number.

    From the next call on, its calls go on unannounced and unrecorded, and are listed as not recorded.
    Recordings stay and can be heard. The tenant's admins are told."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    line_id = find_line(owner, number).id
    suspension.suspend(owner.id, line_id, reason=reason, now=utc_now(), entropy=os.urandom)
    _print(owner, number)


@click.command("resume")
@TENANT
@click.argument("number")
@json_option
@click.pass_obj
def resume_line(context: Context, tenant_name: str, number: str) -> None:
    """Resume recording for a suspended number.

    It is announced and recorded as it is set up, unless the whole tenant is suspended."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    suspension.resume(owner.id, find_line(owner, number).id, now=utc_now(), entropy=os.urandom)
    _print(owner, number)


def _print(owner: TenantRow, number: str) -> None:
    print_line(find_line(owner, number))
