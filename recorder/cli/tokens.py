"""``accord token``: API tokens for customers' programs."""

from __future__ import annotations

import base64
import hashlib
import os

import click

from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.identity import api_tokens
from recorder.lifecycle import plans
from recorder.processes.services import Context


@click.group()
def token() -> None:
    """What a customer's own programs ask with."""


@token.command("create")
@TENANT
@click.argument("name")
@click.pass_obj
def create(context: Context, tenant_name: str, name: str) -> None:
    """Make a token for a program, and print it: it is shown this once."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    plans.check_feature(owner.id, plans.API)
    secret = "accord_" + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    api_tokens.create(
        owner.id,
        name=name,
        token_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        now=utc_now(),
        entropy=os.urandom,
        signer=context.signer(),
    )
    click.echo(secret)


@token.command("list")
@TENANT
@click.pass_obj
def list_tokens(context: Context, tenant_name: str) -> None:
    """A customer's tokens, one a line: id, since when, for which program, whether revoked."""
    context.open_catalogue()
    for row in api_tokens.tokens(find_tenant(tenant_name).id):
        revoked = "  revoked" if row.revoked_at else ""
        click.echo(f"{row.id}  {row.created_at:%Y-%m-%d}  {row.name}{revoked}")


@token.command("revoke")
@TENANT
@click.argument("token_id")
@click.pass_obj
def revoke(context: Context, tenant_name: str, token_id: str) -> None:
    """End a token by its id (accord token list), at once."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    if not api_tokens.revoke(owner.id, token_id, now=utc_now(), entropy=os.urandom):
        raise CatalogueError(
            "token.unknown",
            f"{owner.name} has no token {token_id} in use",
            "`accord token list` shows the ids",
        )
