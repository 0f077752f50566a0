"""``accord tenant | user``: set up customers and their users."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import click
import structlog

from recorder.catalogue import tenant_queries
from recorder.catalogue.records import TenantRow, UserRow
from recorder.cli.announcements import give_shipped
from recorder.cli.password_prompt import password_options, read_password
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.domain import names
from recorder.domain.roles import ROLES
from recorder.errors import CatalogueError
from recorder.identity import account_mail, factor_set, passwords, tenants, users
from recorder.ids import Entropy, uuid7
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sound_sources import open_sources
from recorder.seal.amendment import By
from recorder.seal.signing import Signer

SPOKEN = ("fr", "en")
"""What a new customer's lines may speak where nothing else is said."""


log = structlog.get_logger()


@click.group()
def tenant() -> None:
    """Customers."""


@tenant.command("create")
@click.argument("name")
@click.option("--language", type=click.Choice(LANGUAGES), default="fr", show_default=True)
@click.option(
    "--speaks",
    type=click.Choice(LANGUAGES),
    multiple=True,
    default=SPOKEN,
    show_default=True,
    help="Languages that its lines may speak.",
)
@click.option("--time-zone", default="Europe/Brussels", show_default=True)
@click.option("--country", default="be", show_default=True, help="Its country pack: `accord country list`.")
@click.pass_obj
def create_tenant(
    context: Context, name: str, language: str, speaks: tuple[str, ...], time_zone: str, country: str
) -> None:
    """Make a customer with a key of its own, and announcements for its country; prints its id."""
    context.open_catalogue()
    row = make_tenant(
        context, name, language=language, languages=speaks, time_zone=time_zone, country=country
    )
    click.echo(row.id)


def make_tenant(
    context: Context,
    name: str,
    *,
    language: str,
    languages: Sequence[str] = SPOKEN,
    time_zone: str,
    country: str,
) -> TenantRow:
    """Create a customer whose wrapped key is in the catalogue (the worker copies it to the bucket before the
    first recording), with announcements of its own in all its languages, for the laxest mode that its
    country allows.  Raises :class:`SealError` where the key-encryption key is not the one that wraps the
    existing customers' keys: two would be in use."""
    now = utc_now()
    keyring = context.keyring()
    wrapped_keys = (tenant_queries.tenant_key(other.id) for other in tenant_queries.all_tenants())
    if (wrapped := next((each for each in wrapped_keys if each is not None), None)) is not None:
        keyring.open_tenant_key(wrapped)
    identity = str(uuid7(now))
    row = tenants.create_tenant(
        identity,
        name=name,
        wrapped_key=keyring.new_tenant_key(identity).to_bytes().decode(),
        language=language,
        languages=languages,
        time_zone=time_zone,
        country=country,
        now=now,
        entropy=os.urandom,
    )
    give_shipped(row, now, open_sources(context.settings.prompts))
    return row


@tenant.command("list")
@click.pass_obj
def list_tenants(context: Context) -> None:
    """Customers, one a line: id, name, language, country."""
    context.open_catalogue()
    for row in tenant_queries.all_tenants():
        click.echo(f"{row.id}  {row.name}  {row.language}  {row.country}")


@click.group()
def user() -> None:
    """People who log in to the panel."""


@user.command("create")
@TENANT
@click.argument("login")
@click.option("--name", default="", help="As the panel greets them.")
@click.option("--role", type=click.Choice(ROLES), default="customer", show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), help="Default: the customer's.")
@password_options
@click.pass_obj
def create_user(
    context: Context,
    tenant_name: str,
    login: str,
    name: str,
    role: str,
    language: str | None,
    from_stdin: bool,
    from_file: Path | None,
) -> None:
    """Let somebody log in. The password is asked for where no option says where it is."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    password = read_password(from_stdin, from_file)
    make_user(owner, login, context.signer(), name=name, role=role, language=language, password=password)


def make_user(
    owner: TenantRow,
    login: str,
    signer: Signer,
    *,
    name: str,
    role: str,
    language: str | None,
    password: str,
) -> None:
    """Create a user who can log in.  Raises :class:`CatalogueError` (``user.password…``: see
    :func:`recorder.identity.passwords.check`)."""
    users.create_user(
        owner.id,
        login=login,
        name=name or login,
        role=role,
        language=language or owner.language,
        password_hash=hashed(password, (login, name, owner.name)),
        now=utc_now(),
        entropy=os.urandom,
        signer=signer,
    )


def hashed(password: str, names: Sequence[str]) -> str:
    """Hash a new password, which must not be made up of ``names``.  Raises :class:`CatalogueError`
    (``user.password…``)."""
    from web.account.passwords import MAX_BYTES, hash_password

    if len(password.encode()) > MAX_BYTES:
        raise CatalogueError(
            "user.password", "the password is too long", f"choose one of at most {MAX_BYTES} bytes"
        )
    passwords.check(password, names)
    return hash_password(password)


@user.command("list")
@TENANT
@click.pass_obj
def list_users(context: Context, tenant_name: str) -> None:
    """A customer's people, one a line: log-in, role, whether revoked."""
    context.open_catalogue()
    for row in users.users(find_tenant(tenant_name).id):
        click.echo(f"{row.id}  {row.login}  {row.role}{'  revoked' if row.revoked_at else ''}")


@user.command("password")
@TENANT
@click.argument("login")
@password_options
@click.pass_obj
def change_password(
    context: Context, tenant_name: str, login: str, from_stdin: bool, from_file: Path | None
) -> None:
    """Give somebody another password; their sessions end. It is asked for where no option says where it
    is."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    person = find_user(owner, login)
    made = hashed(read_password(from_stdin, from_file), (person.login, person.name, owner.name))
    users.set_password(
        person.tenant, person.id, made, now=utc_now(), entropy=os.urandom, signer=context.signer()
    )


@user.command("revoke")
@TENANT
@click.argument("login")
@click.pass_obj
def revoke_user(context: Context, tenant_name: str, login: str) -> None:
    """End a log-in, with its sessions and grants."""
    context.open_catalogue()
    person = find_user(find_tenant(tenant_name), login)
    users.revoke_user(person.tenant, person.id, now=utc_now(), entropy=os.urandom)


class _Said(TypedDict):
    now: datetime
    entropy: Entropy


def _at_present() -> _Said:
    return _Said(now=utc_now(), entropy=os.urandom)


@user.command("reset-factor")
@TENANT
@click.argument("login")
@click.option("--reason", required=True, help="Why, and how you made sure who asks.")
@click.pass_obj
def reset_factor(context: Context, tenant_name: str, login: str, reason: str) -> None:
    """Take away all second factors of somebody who lost them; their sessions end."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    person, said = find_user(owner, login), _at_present()
    if not factor_set.reset(person, By("operator"), reason=reason, signer=context.signer(), **said):
        raise CatalogueError(
            "factors.none", f"{person.login} has no second factor", "`accord user list` shows the log-ins"
        )
    users.end_sessions(person, **said)
    log.info("factors.reset", user=person.id, reason=reason)
    if not account_mail.tell(context.outbox(), person, owner, account_mail.FACTORS_RESET, **said):
        click.echo("no mail is sent: tell them yourself")


def find_user(owner: TenantRow, login: str) -> UserRow:
    """A customer's user by log-in.  Raises :class:`CatalogueError`."""
    found = next((row for row in users.users(owner.id) if row.login == names.fold(login)), None)
    if found is None:
        raise CatalogueError(
            "user.unknown",
            f"nobody at {owner.name} logs in as {login!r}",
            "`accord user list` shows the log-ins",
        )
    return found
