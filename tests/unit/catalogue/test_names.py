"""Names of customers, users, announcements and lines, and the spellings of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.errors import CatalogueError
from recorder.features.tenants import announcements, lines, service
from recorder.identity import tenants, users
from recorder.ids import uuid7
from tests.announcements import announcement_in
from tests.expected_errors import expect_error

UNSEEN = [
    "a\x00b", "a\x1b[31mb", "a\nb", "a\tb", "a\u200bb", "a\u202eb", "a\u2028b", "a\u00adb", "\ud800",
]  # fmt: skip
EMPTY = ["", " ", "\u00a0\u2003"]


@contextmanager
def refused(error_id: str) -> Iterator[None]:
    with expect_error(CatalogueError, error_id) as failure:
        yield
    assert failure.value.hint


@pytest.fixture
def create(catalogue, clock, entropy):
    def make(name: str, *, time_zone: str = "Europe/Brussels", country: str = "be") -> str:
        identity = str(uuid7(clock(), entropy))
        options = {"now": clock(), "entropy": entropy, "time_zone": time_zone, "country": country}
        tenants.create_tenant(identity, name=name, wrapped_key="{}", **options)
        return identity

    return make


@pytest.fixture
def announce(clock, entropy):
    def make(tenant: str, name: str = "default") -> str:
        announcement = announcement_in("fr")
        return announcements.create_announcement(
            tenant, name=name, language="fr", text=announcement.text, purposes=["agreement"], keep_days=30,
            wav=announcement.path.read_bytes(), now=clock(), entropy=entropy,
        ).id  # fmt: skip

    return make


@pytest.fixture
def line(announce, clock, entropy):
    def make(tenant: str, number: str, label: str = "") -> str:
        announcement = announce(tenant)
        return lines.create_line(
            tenant, number=number, announcement=announcement, label=label, now=clock(), entropy=entropy
        ).id

    return make


@pytest.mark.parametrize("name", [*UNSEEN, *EMPTY, "x" * 101])
def test_unreadable_name_is_refused_everywhere(create, announce, line, clock, entropy, name: str) -> None:
    with refused("tenant.name"):
        create(name)
    tenant, how = create("Boulangerie Martin"), {"now": clock(), "entropy": entropy}
    with refused("tenant.name"):
        service.set_tenant(tenant, name=name, language="fr", **how)
    options = {"role": "customer", "language": "fr", "password_hash": "x", **how}
    with refused("user.name"):
        users.create_user(tenant, login="claire", name=name, **options)
    with refused("user.login"):
        users.create_user(tenant, login=name * 3, name="Claire", **options)
    if name.strip():
        with refused("line.label"):
            line(tenant, "+3225550100", label=name)
    with refused("announcement.name"):
        announce(tenant, name)
    assert [row.name for row in tenant_queries.all_tenants()] == ["Boulangerie Martin"]
    assert not queries.lines(tenant)
    assert not users.users(tenant)


@pytest.mark.parametrize(
    "same", ["Café Élise", "CAFÉ ÉLISE", " Café  Élise ", "Cafe\u0301 E\u0301lise", "café\u00a0élise"]
)
def test_customer_names_are_unique(create, clock, entropy, same: str) -> None:
    create("Café Élise")
    other, how = create("Garage Peeters"), {"now": clock(), "entropy": entropy}
    with refused("tenant.name"):
        create(same)
    with refused("tenant.name"):
        service.set_tenant(other, name=same, language="fr", **how)
    service.set_tenant(other, name="GARAGE Peeters", language="fr", **how)
    assert [row.name for row in tenant_queries.all_tenants()] == ["Café Élise", "GARAGE Peeters"]


def test_names_are_normalized(create, clock, entropy) -> None:
    tenant = create("  Cafe\u0301   Élise ")
    assert tenant_queries.all_tenants()[0].name == "Café Élise"
    options = {"role": "customer", "language": "fr", "password_hash": "x", "now": clock(), "entropy": entropy}
    users.create_user(tenant, login=" E\u0301lise ", name=" Élise  D. ", **options)
    found = users.user_by_login("ÉLISE")
    assert found is not None
    assert (found.login, found.name) == ("élise", "Élise D.")
    with refused("user.exists"):
        users.create_user(tenant, login="élise", name="Another", **options)


@pytest.mark.parametrize(
    "zone", ["Europe/Bruxelles", "", "Europe", "../etc/passwd", "/etc/localtime", "CEST", "a\0b"]
)
def test_unknown_time_zone_is_refused(create, zone: str) -> None:
    with refused("tenant.time_zone"):
        create("Boulangerie Martin", time_zone=zone)
    assert not tenant_queries.all_tenants()


@pytest.mark.parametrize("other", ["3225550100", "003225550100", "025550100", "+3225550100"])
@pytest.mark.parametrize("first", ["+3225550100", "025550100"])
def test_spellings_of_a_number_are_one_line(create, line, first: str, other: str) -> None:
    bakery, garage = create("Boulangerie Martin"), create("Garage Peeters")
    line(bakery, first)
    for tenant in (bakery, garage):
        with expect_error(CatalogueError, "line.taken") as failure:
            line(tenant, other)
        assert first in failure.value.message
        assert "Boulangerie Martin" in failure.value.message


def test_same_digits_in_another_country_are_another_number(create, line) -> None:
    bakery, baker = create("Boulangerie Martin"), create("Pâtisserie Weiss", country="nl")
    line(bakery, "025550100")
    line(baker, "+31255550100")
    line(bakery, "100")
    line(bakery, "5550100")
    with refused("line.taken"):
        line(baker, "100")
