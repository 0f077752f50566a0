"""``accord tenant``: a customer and its first admin, by the rules of the page of registration."""

from __future__ import annotations

import os

import pytest

from recorder import config
from recorder.catalogue import queries, tenant_queries
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.features.team.invitations import Invitations, invitations
from recorder.mail.outbox import Outbox
from recorder.processes.services import Context
from tests.unit.cli.shell import Shell

INVITE = ("tenant", "invite")


def team(shell: Shell) -> Invitations:
    context = Context(config.load(None, shell.environment), None)
    return Invitations(context.signer(), context.trust(), Outbox(), utc_now, os.urandom)


def test_first_admin_is_invited_with_the_customer(new_shell: Shell) -> None:
    options = ("--language", "nl", "--speaks", "nl", "--time-zone", "Europe/Amsterdam", "--country", "nl")
    output = new_shell.good(*INVITE, "Bakkerij Jansen", "jan@example.nl", "--admin", "Jan Jansen", *options)
    tenant, link = output.split()
    row = queries.tenant(tenant)
    assert (row.name, row.language, row.languages, row.time_zone, row.country) == (
        "Bakkerij Jansen",
        "nl",
        ("nl",),
        "Europe/Amsterdam",
        "nl",
    )
    assert [each.language for each in queries.announcements(tenant)] == ["nl"]
    token = link.rpartition("/invitation/")[2]
    person = team(new_shell).accept(token, "$argon2id$1")
    assert (person.tenant, person.login, person.name) == (tenant, "jan@example.nl", "Jan Jansen")
    assert (person.role, person.lines, person.language) == ("customer_admin", None, "nl")
    with pytest.raises(CatalogueError, match="was accepted"):
        team(new_shell).accept(token, "$argon2id$1")


def test_lost_link_is_replaced(new_shell: Shell) -> None:
    _, old = new_shell.good(*INVITE, "Jansen", "jan@example.nl").split()
    new = new_shell.good("user", "reset-password", "--tenant", "Jansen", "jan@example.nl").strip()
    with pytest.raises(CatalogueError):
        team(new_shell).open(old.rpartition("/")[2])
    assert team(new_shell).open(new.rpartition("/")[2]).address == "jan@example.nl"


def test_invitation_is_mailed_where_mail_can_be_sent(new_shell: Shell) -> None:
    mail = {"ACCORD_MAIL_HOST": "localhost", "ACCORD_WEB_ADDRESS": "https://accord.example.com"}
    mail |= {"ACCORD_MAIL_SENDER": "accord@example.com"}
    output = new_shell.good(*INVITE, "Jansen", "jan@example.nl", **mail)
    assert "a mail to jan@example.nl is on its way" in output
    assert "/invitation/" not in output
    output = new_shell.good(*INVITE, "Peeters", "jan@example.nl", "--link", **mail)
    assert "https://accord.example.com/invitation/" in output


@pytest.mark.parametrize("command", ["create", "invite"])
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("  ", (), "the customer's name is empty"),
        ("Jan\u200bsen", (), "a character that cannot be seen"),
        ("x" * 101, (), "at most 100"),
        ("boulangerie  MARTIN", (), "is already called 'Boulangerie Martin'"),
        ("Jansen", ("--time-zone", "Europe/Nowhere"), "time zone"),
        ("Jansen", ("--time-zone", "../../etc/passwd"), "time zone"),
        ("Jansen", ("--country", "atlantis"), "country"),
    ],
)
def test_mistakes_are_refused_and_make_nothing(
    new_shell: Shell, command: str, name: str, options: tuple[str, ...], message: str
) -> None:
    new_shell.good("tenant", "create", "Boulangerie Martin")
    address = ("jan@example.nl",) if command == "invite" else ()
    assert message in new_shell.bad("tenant", command, name, *address, *options)
    assert [row.name for row in tenant_queries.all_tenants()] == ["Boulangerie Martin"]


def test_customer_is_not_made_without_its_admin(new_shell: Shell) -> None:
    assert "jan" in new_shell.bad(*INVITE, "Jansen", "jan")
    assert tenant_queries.all_tenants() == ()
    new_shell.good(*INVITE, "Jansen", "jan@example.nl")
    (row,) = tenant_queries.all_tenants()
    assert [each.address for each in invitations(row.id)] == ["jan@example.nl"]


def test_rules_of_numbers_from_other_countries(dubois: Shell) -> None:
    french = ("line", "add", "--tenant", "Dubois", "+33 1 23 45 67 89")
    assert "cannot be recorded with notice" in dubois.bad(*french, "--mode", "notice")
    assert dubois.json("tenant", "show", "Dubois")["number_rules"] == "stricter"
    dubois.good(*french)
    assert dubois.json("line", "show", "--tenant", "Dubois", "+33123456789")["mode"] == "opt-out"
    assert dubois.json("tenant", "set", "Dubois", "--number-rules", "alone")["number_rules"] == "alone"
    dubois.good("line", "set", "--tenant", "Dubois", "+33123456789", "--mode", "notice")
    assert "do not fit" in dubois.bad("tenant", "set", "Dubois", "--number-rules", "stricter")
    assert "do not fit" in dubois.bad("tenant", "set", "Dubois", "--country", "nl")
    changed = dubois.json("tenant", "set", "Dubois", "--country", "nl", "--number-rules", "alone")
    assert (changed["country"], changed["number_rules"]) == ("nl", "alone")
