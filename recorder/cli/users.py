"""``accord user``: invite people to the panel, change their access, and end it; a customer's people, and the
provider's. Nobody else sets a person's password: an invitation or a link lets them choose it."""

from __future__ import annotations

import os
from typing import Any

import click
import structlog

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import TenantRow, UserRow
from recorder.cli.tenant_name import find_owner, owner_options
from recorder.clock import utc_now
from recorder.domain import names, phone_numbers
from recorder.domain.roles import CUSTOMER, PROVIDER, PROVIDER_ROLES, ROLES
from recorder.errors import CatalogueError
from recorder.features.branding.service import CurrentBranding
from recorder.features.team import access
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
    help="A number whose calls a colleague sees; may be given several times. Default: all.",
)


@click.group()
def user() -> None:
    """People who log in to the panel."""


@user.command("invite")
@owner_options
@click.argument("address")
@click.option("--name", default="", help="As the panel greets them; default: the address.")
@click.option("--role", type=ROLE, help=f"Default: {CUSTOMER}, for a customer's people.")
@LINES
@click.option("--language", type=click.Choice(LANGUAGES), help="Default: the customer's.")
@LINK
@click.pass_obj
def invite_user(
    context: Context,
    tenant_name: str | None,
    address: str,
    name: str,
    role: str | None,
    numbers: tuple[str, ...],
    language: str | None,
    link: bool,
) -> None:
    """Invite somebody, who chooses a password of their own. Without a mail server, prints the link, which
    works once within seven days.

    With --provider, one of the provider's own people: an operator sees which customers there are and what
    they use, support sees the differences that a customer admits it to. Neither sees or hears a call."""
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
            language=language or owner.language,
            by=OPERATOR,
            mail=not link,
        )
    print_link(context, issued.path, issued.address if issued.mailed else "")


@user.command("list")
@owner_options
@click.pass_obj
def list_users(context: Context, tenant_name: str | None) -> None:
    """People and invitations, one a line: log-in, role, numbers, and whether they were invited or revoked."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    numbers = {line.id: line.number for line in queries.lines(owner.id, ended=True)}

    def format_last_use(row: UserRow | InvitationRow) -> str:
        return "" if row.lines is None else f"  {','.join(numbers[each] for each in row.lines) or 'none'}"

    for row in users.users(owner.id):
        click.echo(
            f"{row.id}  {row.login}  {row.role}{format_last_use(row)}{'  revoked' if row.revoked_at else ''}"
        )
    for each in invitations(owner.id):
        state = "expired" if each.until <= utc_now() else "invited"
        click.echo(f"{each.id}  {each.address}  {each.role}{format_last_use(each)}  {state}")


@user.command("set")
@owner_options
@click.argument("address")
@click.option("--role", type=ROLE, required=True)
@LINES
@click.pass_obj
def set_user(
    context: Context, tenant_name: str | None, address: str, role: str, numbers: tuple[str, ...]
) -> None:
    """Change somebody's role, and the numbers whose calls a colleague sees; their sessions end."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    person = find_user(owner, address)
    access.change_access(
        owner.id,
        person.id,
        role=role,
        lines=_lines(owner, numbers),
        downloads=None,
        now=utc_now(),
        entropy=os.urandom,
        signer=context.signer(),
        trust=context.trust(),
        by=OPERATOR,
    )


@user.command("reset-password")
@owner_options
@click.argument("address")
@LINK
@click.pass_obj
def reset_password(context: Context, tenant_name: str | None, address: str, link: bool) -> None:
    """Send somebody a link to choose another password, which works once within the hour; or their invitation
    again. Without a mail server, prints the link."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    if (invited := _find_invitation(owner, address)) is not None:
        again = open_invitations(context).renew(owner.id, invited.id, OPERATOR, mail=not link)
        return print_link(context, again.path, again.address if again.mailed else "")
    person = find_user(owner, address)
    users.require_signed(person, context.trust())
    issued = _links(context, mail=not link).issue_reset(person, OPERATOR)
    return print_link(context, issued.path, person.login if issued.mailed else "")


@user.command("revoke")
@owner_options
@click.argument("address")
@click.option("--last-admin", is_flag=True, help="Even if the customer then has no admin.")
@click.pass_obj
def revoke_user(context: Context, tenant_name: str | None, address: str, last_admin: bool) -> None:
    """End somebody's access, with sessions and grants, or withdraw their invitation."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    if (invited := _find_invitation(owner, address)) is not None:
        return open_invitations(context).withdraw(owner.id, invited.id, OPERATOR)
    person = find_user(owner, address)
    users.revoke_user(
        person.tenant, person.id, now=utc_now(), entropy=os.urandom, by=OPERATOR, last_admin=last_admin
    )
    return None


@user.command("require-second-factor")
@owner_options
@click.argument("rule", type=click.Choice(("on", "off")), metavar="on|off")
@click.pass_obj
def require_second_factor(context: Context, tenant_name: str | None, rule: str) -> None:
    """Require a second factor from everybody at a customer, or of the provider's people, or no longer.

    From their next log-in on, a person without one sees only the page that sets one up. A customer's admin
    can change this."""
    context.open_catalogue()
    sign_in_rule.require_second_factor(
        find_owner(tenant_name).id,
        rule == "on",
        OPERATOR,
        signer=context.signer(),
        now=utc_now(),
        entropy=os.urandom,
    )


@user.command("reset-second-factor")
@owner_options
@click.argument("login")
@click.option("--reason", required=True, help="Why, and how you made sure who asks.")
@click.pass_obj
def reset_second_factor(context: Context, tenant_name: str | None, login: str, reason: str) -> None:
    """Take away all second factors of somebody who lost them; their sessions end."""
    context.open_catalogue()
    owner = find_owner(tenant_name)
    person = find_user(owner, login)
    time_and_entropy: dict[str, Any] = {"now": utc_now(), "entropy": os.urandom}
    if not factor_set.reset(person, OPERATOR, reason=reason, signer=context.signer(), **time_and_entropy):
        raise CatalogueError(
            "factors.none", f"{person.login} has no second factor", "`accord user list` shows the log-ins"
        )
    users.end_sessions(person, **time_and_entropy)
    log.info("factors.reset", user=person.id, reason=reason)
    if not account_mail.tell(context.outbox(), person, owner, account_mail.FACTORS_RESET, **time_and_entropy):
        click.echo("no mail is sent: tell them yourself")


def find_user(owner: TenantRow, login: str) -> UserRow:
    """A customer's or the provider's user by log-in.  Raises :class:`CatalogueError`."""
    found = next((row for row in users.users(owner.id) if row.login == names.fold(login)), None)
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
    """The ids of a customer's lines by their numbers; ``None`` for all.  Raises :class:`CatalogueError`."""
    if not numbers:
        return None
    found = []
    for number in numbers:
        canonical = phone_numbers.to_canonical(number, owner.country) or number
        mine = [line.id for line in queries.lines(owner.id, ended=True) if line.number in (canonical, number)]
        if not mine:
            raise CatalogueError(
                "user.lines", f"{owner.name} has no number {number}", "`accord line list` shows them"
            )
        found += mine
    return found


def _provider_name(context: Context) -> str:
    """The provider's name: as an operator set it in the panel, or of the settings."""
    branding = CurrentBranding(context.trust(), utc_now)()
    return (branding.name if branding else "") or context.settings.brand.name


def open_invitations(context: Context) -> Invitations:
    """The invitations of this installation, signed by its own key."""
    return Invitations(context.signer(), context.trust(), context.outbox(), utc_now, os.urandom)


def _links(context: Context, mail: bool) -> AccountLinks:
    from recorder.mail.outbox import Outbox

    outbox = context.outbox() if mail else Outbox()
    return AccountLinks(context.web_secret(), context.signer(), context.trust(), outbox, utc_now, os.urandom)


def print_link(context: Context, path: str, address: str) -> None:
    """Print where a link leads in the panel; or, with an ``address``, that it was mailed there."""
    if address:
        click.echo(f"a mail to {address} is on its way")
    else:
        click.echo(panel_link(context, path))


def panel_link(context: Context, path: str) -> str:
    """The address of a path in the panel."""
    web = context.settings.web
    return f"{web.address or f'http://{web.host}:{web.port}'}{path}"
