"""``accord user`` for the provider's own people, with a log of their own."""

from __future__ import annotations

import os

import pyotp
import pytest

from recorder import config
from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.identity import UserTable
from recorder.clock import utc_now
from recorder.domain.roles import PROVIDER
from recorder.features.team.invitations import Invitations
from recorder.identity import users
from recorder.mail.outbox import Outbox
from recorder.processes.services import Context
from tests.clock import Clock
from tests.house import Bakery
from tests.unit.cli.shell import Shell

CREATE = ("user", "invite", "--provider")


def accept(shell: Shell, link: str) -> None:
    context = Context(config.load(None, shell.environment), None)
    team = Invitations(context.signer(), context.trust(), Outbox(), utc_now, os.urandom)
    team.accept(link.strip().rpartition("/")[2], "$argon2id$1")


def test_invited_people_have_the_providers_roles(shell: Shell, house: Bakery) -> None:
    assert "none of the provider's people" in shell.bad("user", "list", "--provider")
    assert shell(*CREATE, "olga@telvoip.example").exit_code == 2, "it takes a role"
    assert shell("user", "invite", "olga@telvoip.example").exit_code == 2, "it takes an owner"
    accept(shell, shell.good(*CREATE, "olga@telvoip.example", "--role", "operator", "--name", "Olga"))
    shell.good(*CREATE, "sam@telvoip.example", "--role", "support", ACCORD_BRAND_NAME="Telvoip")
    tenant = queries.tenant(PROVIDER)
    assert tenant is not None
    assert tenant.name == "Telvoip", "the invitation names the provider as it is called now"
    rows = shell.json("user", "list", "--provider")["users"]
    assert [(row["login"], row["role"], row["state"]) for row in rows] == [
        ("olga@telvoip.example", "operator", "active"),
        ("sam@telvoip.example", "support", "invited"),
    ]
    (olga,) = users.users(PROVIDER)
    assert (olga.tenant, olga.role, olga.name) == (PROVIDER, "operator", "Olga")


@pytest.mark.parametrize(
    "words",
    [("--provider", "--role", "customer_admin"), ("--tenant", "Boulangerie Martin", "--role", "operator")],
)
def test_roles_of_the_other_side_are_refused(shell: Shell, house: Bakery, words: tuple[str, ...]) -> None:
    assert "is none of their roles" in shell.bad("user", "invite", "eve@example.com", *words)
    assert queries.tenant(PROVIDER) is None, "a refused invitation leaves no provider"


def test_provider_is_no_customer(shell: Shell, house: Bakery) -> None:
    shell.good(*CREATE, "olga@telvoip.example", "--role", "operator", ACCORD_BRAND_NAME="Boulangerie Martin")
    assert [row.id for row in tenant_queries.customers()] == [house.tenant]
    assert PROVIDER not in shell.good("tenant", "list") + shell.good("usage")
    shell.good("line", "list", "--tenant", "Boulangerie Martin")
    for command in (("token", "create", "till"), ("line", "list")):
        assert "there is no tenant" in shell.bad(*command, "--tenant", PROVIDER)


def test_access_ends_and_changes_by_command(shell: Shell, house: Bakery) -> None:
    for name in ("olga", "otto"):
        accept(shell, shell.good(*CREATE, f"{name}@telvoip.example", "--role", "operator"))
    shell.good("user", "set", "--provider", "olga@telvoip.example", "--role", "support")
    shell.good("user", "revoke", "--provider", "otto@telvoip.example", "--yes")
    assert "/reset/" in shell.good("user", "reset-password", "--provider", "olga@telvoip.example")
    olga, otto = users.users(PROVIDER)
    assert (olga.role, otto.revoked_at is None) == ("support", False)


def test_lost_factor_is_reset_by_command(shell: Shell, house: Bakery) -> None:
    accept(shell, shell.good(*CREATE, "olga@telvoip.example", "--role", "operator"))
    (olga,) = users.users(PROVIDER)
    now, house.open_catalogue = utc_now(), house.open_catalogue  # type: ignore[method-assign]
    key = house.factors.new_app_key(olga)
    house.clock.forward(seconds=(now - house.clock()).total_seconds())
    code = pyotp.TOTP(house.factors.secret(olga, key)).at(house.clock())
    assert house.factors.add_app(olga, key, code)
    shell.good(
        "user", "reset-second-factor", "--provider", "olga@telvoip.example", "--reason", "Lost her phone"
    )
    assert not house.factors.current(olga).required


def test_second_factor_is_required_by_command(shell: Shell, house: Bakery) -> None:
    accept(shell, shell.good(*CREATE, "olga@telvoip.example", "--role", "operator"))
    (olga,) = users.users(PROVIDER)
    assert not house.factors.must_enrol(olga)
    shell.good("user", "require-second-factor", "--provider", "on")
    assert house.factors.must_enrol(olga)
    shell.good("user", "require-second-factor", "--provider", "off")
    assert not house.factors.must_enrol(olga)


def test_providers_log_is_audited(shell: Shell, house: Bakery, clock: Clock) -> None:
    accept(shell, shell.good(*CREATE, "olga@telvoip.example", "--role", "operator"))
    shell.good("store", "init")
    shell.good("audit", "mail", "add", "--provider", "notary@example.com")
    assert "nothing to reopen" in shell("audit", "reopen", "--provider", "--reason", "A test of it").output
    assert "row.changed" not in shell("audit", "run").output
    with writing():
        UserTable.update(name="Otto").where(UserTable.tenant == PROVIDER).execute()
    assert "row.changed" in shell("audit", "run", "--provider").output
