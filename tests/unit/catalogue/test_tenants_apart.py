"""What is asked of one customer is answered for that one."""

from __future__ import annotations

import pytest

from recorder.catalogue import country_check, queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError
from recorder.features.tenants.registration import Registration
from recorder.identity.tenants import create_tenant
from tests.stored_recordings import put_small


@pytest.fixture
def french(house) -> str:
    create_tenant(
        "french",
        name="Reliure Adam",
        wrapped_key="{}",
        country="fr",
        now=house.clock(),
        entropy=house.entropy,
    )
    return "french"


def test_country_pack_is_the_customers_own(house, french) -> None:
    with connected():
        assert country_check.pack_of(house.tenant).code == "be"
        assert country_check.pack_of(french).code == "fr"
        with pytest.raises(CatalogueError) as failure:
            country_check.pack_of("nobody")
    assert failure.value.error_id == "tenant.unknown"


def test_recording_is_found_by_its_id_and_its_customers(house, french) -> None:
    first, second = put_small(house), put_small(house)
    assert [queries.recording(house.tenant, each).id for each in (first, second)] == [first, second]
    assert queries.recording(french, first) is None
    assert queries.recording(house.tenant, "unknown") is None


def test_provider_is_no_customer(house, french) -> None:
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    customers = {house.tenant, french}
    assert {row.id for row in tenant_queries.customers()} == customers
    assert {row.id for row in tenant_queries.all_tenants()} == {*customers, PROVIDER}
    assert set(tenant_queries.log_sizes()) == customers
