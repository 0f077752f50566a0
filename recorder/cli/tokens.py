"""``accord token``: API tokens for tenants' programs."""

from __future__ import annotations

import os

import click

from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.output import Record, fields_of, json_option, print_list, print_result
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.identity import api_tokens
from recorder.identity.api_tokens import TokenRow
from recorder.lifecycle import plans
from recorder.processes.services import Context


@click.group()
def token() -> None:
    """API tokens: the access of a tenant's own programs."""


@token.command("list")
@TENANT
@json_option
@click.pass_obj
def list_tokens(context: Context, tenant_name: str) -> None:
    """List a tenant's tokens, revoked ones included."""
    context.open_catalogue()
    rows = map(_record, api_tokens.tokens(find_tenant(tenant_name).id))
    print_list("tokens", rows, ("id", "name", "created_at", "revoked_at"))


def _record(row: TokenRow) -> Record:
    return fields_of(row, "id", "tenant", "name", "created_at", "revoked_at")


@token.command("create")
@TENANT
@click.argument("name")
@json_option
@click.pass_obj
def create(context: Context, tenant_name: str, name: str) -> None:
    """Create a token for the program NAME, and print it once."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    plans.check_feature(owner.id, plans.API)
    row, secret = api_tokens.issue(
        owner.id, name=name, who=None, now=utc_now(), entropy=os.urandom, signer=context.signer()
    )
    print_result({**_record(row), "token": secret}, secret)


@token.command("revoke")
@TENANT
@click.argument("token_id", metavar="TOKEN")
@json_option
@confirmation_options
@click.pass_obj
def revoke(context: Context, tenant_name: str, token_id: str) -> None:
    """Revoke a token by its id (`accord token list`), at once."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = next((each for each in api_tokens.tokens(owner.id) if each.id == token_id), None)
    if row is None or row.revoked_at is not None:
        raise _unknown(owner.name, token_id)
    confirm("Revoke it?", _record(row), f"Token {row.id} of {owner.name}, for the program {row.name}.")
    if not api_tokens.revoke(owner.id, token_id, now=utc_now(), entropy=os.urandom):
        raise _unknown(owner.name, token_id)
    (row,) = (each for each in api_tokens.tokens(owner.id) if each.id == token_id)
    print_result(_record(row), f"Token {row.id} ({row.name}) is revoked.")


def _unknown(owner: str, token_id: str) -> CatalogueError:
    return CatalogueError(
        "token.unknown", f"{owner} has no token {token_id} in use", "`accord token list` shows the ids"
    )
