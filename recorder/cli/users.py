"""``accord user``: invite people to the panel, change their access, and end it; a tenant's people, and the
provider's. Nobody else sets a person's password: an invitation or a link lets them choose it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
import structlog

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import TenantRow, UserRow
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.line_number import lines_called
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record, print_result
from recorder.cli.tenant_name import find_owner, owner_options
from recorder.clock import utc_now
from recorder.domain import names
from recorder.domain.parties import read_extensions
from recorder.domain.roles import CUSTOMER, PROVIDER, PROVIDER_ROLES, ROLES
from recorder.errors import CatalogueError
from recorder.features.branding.service import CurrentBranding, provider_name
from recorder.features.team import access, extensions
from recorder.features.team.account_links import AccountLinks
from recorder.features.team.invitations import InvitationRow, Invitations, invitations
from recorder.features.tenants.registration import Registration
from recorder.identity import account_mail, factor_set, sign_in_rule, users
from recorder.processes.services import Context
from recorder.prompts.purposes import LANGUAGES
from recorder.seal.amendment import By

OPERATOR = By("operator")

log = structlog.get_logger()

ROLE = click.Choice((*ROLES, *PROVIDER_ROLES))
LINK = click.option("--link", is_flag=True, help="Print the link, to be passed on, and send no mail.")
LINES = click.option(
    "--line",
    "numbers",
    multiple=True,
    help="A number whose calls a colleague sees; repeatable. Default: all.",
)
EXTENSION = "An extension at which they take calls; repeatable. Calls with it show their name."


@click.group()
def user() -> None:
    """People who log in to the panel."""


@user.command("invite")
@owner_options
@click.argument("address")
@click.option("--name", default="", help="The person's name; default: the address.")
@click.option("--role", type=ROLE, help=f"The role; default: {CUSTOMER}, for a tenant's people.")
@LINES
@click.option("--extension", "typed", multiple=True, help=EXTENSION)
@click.option(
    "--language", type=click.Choice(LANGUAGES), help="The person's language; default: the tenant's."
)
@LINK
@json_option
@click.pass_obj
def invite_user(
    context: Context,
    tenant_name: str | None,
    address: str,
    name: str,
    role: str | None,
    numbers: tuple[str, ...],
    typed: tuple[str, ...],
    language: str | None,
    link: bool,
) -> None:
    """Invite a person, who chooses their own password. The link is mailed, or printed if no mail can be sent;
    it works once within seven days.

    With --provider, invite one of the provider's own people: an operator sees the tenants and their usage,
    support sees the open questions that a tenant admits it to. Neither sees or hears a call."""
    if tenant_name == PROVIDER and role is None:
        raise click.UsageError(f"say which with --role: {' or '.join(PROVIDER_ROLES)}")
    context.open_catalogue()
    with writing():  # the provider's tenant and the invitation of its first person, or neither
        if tenant_name == PROVIDER:
            registration = Registration(context.keyring())
            registration.open_provider(_provider_name(context), language or LANGUAGES[0], utc_now())
        owner = find_owner(tenant_name)
        issued = open_invitations(context).invite(
            owner.id,
            address=address,
            name=name or address,
            role=role or CUSTOMER,
            lines=_lines(owner, numbers),
            extensions=read_extensions(",".join(typed), owner.country),
            language=language or owner.language,
            by=OPERATOR,
            mail=not link,
        )
    print_link(issued_record(context, issued.address, issued.path, mailed=issued.mailed))


@user.command("list")
@owner_options
@json_option
@click.pass_obj
def list_users(context: Context, tenant_name: str | None) -> None:
    """List the people who log in, and invitations.

    Revoked access stays listed."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    numbers = {line.id: line.number for line in queries.lines(owner.id, ended=True)}
    now = utc_now()
    rows = [_user_record(row, numbers) for row in users.users(owner.id)]
    rows += [_invitation_record(row, numbers, now) for row in invitations(owner.id)]
    print_list("users", rows, ("id", "login", "name", "role", "numbers", "state"))


def _user_record(row: UserRow, numbers: Mapping[str, str]) -> Record:
    """A person; ``numbers`` are the only ones whose calls they see (``None``: all)."""
    return {
        **fields_of(row, "id", "login", "name", "role"),
        "numbers": None if row.lines is None else [numbers[each] for each in row.lines],
        "extensions": list(extensions.extensions_of(row.tenant).get(row.id, ())),
        "state": "revoked" if row.revoked_at else "active",
        "created_at": row.created_at,
        "ends_at": row.revoked_at,
    }


def _invitation_record(row: InvitationRow, numbers: Mapping[str, str], now: datetime) -> Record:
    return {
        "id": row.id,
        "login": row.address,
        "name": row.name,
        "role": row.role,
        "numbers": None if row.lines is None else [numbers[each] for each in row.lines],
        "extensions": list(row.extensions or ()),
        "state": "expired" if row.until <= now else "invited",
        "created_at": row.created_at,
        "ends_at": row.until,
    }


def _print_user(owner: TenantRow, user_id: str) -> None:
    numbers = {line.id: line.number for line in queries.lines(owner.id, ended=True)}
    (row,) = (each for each in users.users(owner.id) if each.id == user_id)
    print_record(_user_record(row, numbers))


@user.command("set")
@owner_options
@click.argument("address")
@click.option("--role", type=ROLE, required=True, help="The role from now on.")
@LINES
@click.option("--extension", "typed", multiple=True, help=f'{EXTENSION} Default: as before; "": none.')
@json_option
@click.pass_obj
def set_user(
    context: Context,
    tenant_name: str | None,
    address: str,
    role: str,
    numbers: tuple[str, ...],
    typed: tuple[str, ...],
) -> None:
    """Change a person's role, numbers and extensions.

    Their sessions end."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    person = find_user(owner, address)
    access.change_access(
        owner.id,
        person.id,
        role=role,
        lines=_lines(owner, numbers),
        downloads=None,
        extensions=read_extensions(",".join(typed), owner.country) if typed else None,
        now=utc_now(),
        entropy=os.urandom,
        signer=context.signer(),
        trust=context.trust(),
        by=OPERATOR,
    )
    _print_user(owner, person.id)


@user.command("reset-password")
@owner_options
@click.argument("address")
@LINK
@json_option
@click.pass_obj
def reset_password(context: Context, tenant_name: str | None, address: str, link: bool) -> None:
    """Mail a person a link to choose another password.

    It works once within the hour. An invited person gets the invitation again. The link is printed if no
    mail can be sent."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    if (invited := _find_invitation(owner, address)) is not None:
        again = open_invitations(context).renew(owner.id, invited.id, OPERATOR, mail=not link)
        return print_link(issued_record(context, again.address, again.path, mailed=again.mailed))
    person = find_user(owner, address)
    users.require_signed(person, context.trust())
    issued = _links(context, mail=not link).issue_reset(person, OPERATOR)
    return print_link(issued_record(context, person.login, issued.path, mailed=issued.mailed))


@user.command("revoke")
@owner_options
@click.argument("address")
@click.option("--last-admin", is_flag=True, help="Even if the tenant then has no admin.")
@json_option
@confirmation_options
@click.pass_obj
def revoke_user(context: Context, tenant_name: str | None, address: str, last_admin: bool) -> None:
    """End a person's access, or withdraw an invitation.

    Their sessions end at once."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    numbers = {line.id: line.number for line in queries.lines(owner.id, ended=True)}
    if (invited := _find_invitation(owner, address)) is not None:
        record = _invitation_record(invited, numbers, utc_now())
        about = f"The invitation of {invited.address} to {owner.name}, as {invited.role}."
        confirm("Withdraw it?", record, about)
        open_invitations(context).withdraw(owner.id, invited.id, OPERATOR)
        print_result({**record, "state": "withdrawn"}, f"The invitation of {invited.address} is withdrawn.")
        return
    person = find_user(owner, address)
    about = f"{person.name} ({person.login}) of {owner.name}, {person.role}: all sessions end at once."
    confirm("End this access?", _user_record(person, numbers), about)
    users.revoke_user(
        person.tenant, person.id, now=utc_now(), entropy=os.urandom, by=OPERATOR, last_admin=last_admin
    )
    _print_user(owner, person.id)


@user.command("require-second-factor")
@owner_options
@click.argument("rule", type=click.Choice(("on", "off")), metavar="on|off")
@json_option
@click.pass_obj
def require_second_factor(context: Context, tenant_name: str | None, rule: str) -> None:
    """Require a second factor, or no longer.

    The rule is for all of a tenant's people, or for the provider's. From their next log-in on, a
    person without one sees only the page that sets one up. A tenant's admin can change this."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    sign_in_rule.require_second_factor(
        owner.id,
        rule == "on",
        OPERATOR,
        signer=context.signer(),
        now=utc_now(),
        entropy=os.urandom,
    )
    print_record({"id": owner.id, "name": owner.name, "second_factor_required": rule == "on"})


@user.command("reset-second-factor")
@owner_options
@click.argument("address")
@click.option("--reason", required=True, help="The reason, and how the person was identified.")
@json_option
@click.pass_obj
def reset_second_factor(context: Context, tenant_name: str | None, address: str, reason: str) -> None:
    """Remove a person's second factors, if they are lost.

    Their sessions end."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    person = find_user(owner, address)
    how: dict[str, Any] = {"now": utc_now(), "entropy": os.urandom}
    if not factor_set.reset(person, OPERATOR, reason=reason, signer=context.signer(), **how):
        raise CatalogueError(
            "factors.none", f"{person.login} has no second factor", "`accord user list` shows the log-ins"
        )
    users.end_sessions(person, **how)
    log.info("factors.reset", user=person.id, reason=reason)
    mailed = account_mail.tell(context.outbox(), person, owner, account_mail.FACTORS_RESET, **how)
    print_result(
        {"id": person.id, "login": person.login, "second_factors": 0, "mailed": mailed},
        f"{person.login} has no second factor any more; a mail says so."
        if mailed
        else f"{person.login} has no second factor any more. No mail is sent: inform them yourself.",
    )


def find_user(owner: TenantRow, login: str) -> UserRow:
    """A tenant's or the provider's user by log-in.  Raises :class:`CatalogueError`."""
    found = next((row for row in users.users(owner.id) if row.login == names.fold(login)), None)
    if found is None and _find_invitation(owner, login) is not None:
        raise CatalogueError(
            "user.invited",
            f"{login} has not accepted the invitation yet",
            f"`accord user reset-password {login}` sends it again",
        )
    if found is None:
        raise CatalogueError(
            "user.unknown",
            f"nobody at {owner.name} logs in as {login!r}",
            "`accord user list` shows the log-ins",
        )
    return found


def _find_invitation(owner: TenantRow, address: str) -> InvitationRow | None:
    return next((row for row in invitations(owner.id) if row.address == names.fold(address)), None)


def _lines(owner: TenantRow, numbers: tuple[str, ...]) -> list[str] | None:
    """The ids of a tenant's lines by their numbers; ``None`` for all.  Raises :class:`CatalogueError`."""
    if not numbers:
        return None
    found = []
    for number in numbers:
        mine = [line.id for line in lines_called(queries.lines(owner.id, ended=True), number, owner.country)]
        if not mine:
            raise CatalogueError(
                "user.lines", f"{owner.name} has no number {number}", "`accord line list` shows them"
            )
        found += mine
    return found


def _provider_name(context: Context) -> str:
    """The provider's name: as an operator set it in the panel, or of the settings."""
    return provider_name(CurrentBranding(context.trust(), utc_now)(), context.settings.brand.name)


def open_invitations(context: Context) -> Invitations:
    """The invitations of this installation, signed by its own key."""
    return Invitations(context.signer(), context.trust(), context.outbox(), utc_now, os.urandom)


def _links(context: Context, mail: bool) -> AccountLinks:
    from recorder.mail.outbox import Outbox

    outbox = context.outbox() if mail else Outbox()
    return AccountLinks(context.web_secret(), context.signer(), context.trust(), outbox, utc_now, os.urandom)


def issued_record(context: Context, address: str, path: str, *, mailed: bool) -> Record:
    """A link in the panel, unless it was ``mailed``, which nobody else may see."""
    return {"address": address, "mailed": mailed, "link": None if mailed else panel_link(context, path)}


def link_sentence(link: Record) -> str:
    """The link, or that it was mailed."""
    return f"a mail to {link['address']} is on its way" if link["mailed"] else str(link["link"])


def print_link(link: Record) -> None:
    """Print the result of :func:`issued_record`."""
    print_result(link, link_sentence(link))


def panel_link(context: Context, path: str) -> str:
    """The address of a path in the panel."""
    web = context.settings.web
    return f"{web.address or f'http://{web.host}:{web.port}'}{path}"
