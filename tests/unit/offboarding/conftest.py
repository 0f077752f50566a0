from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.features.offboarding import service
from recorder.features.offboarding.plan import prepare_handover
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import signing
from recorder.services import Services
from tests.house import Customer, House


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue_url) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue_url)
    yield house
    house.close()


@pytest.fixture
def bakery(house) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    return customer


@pytest.fixture
def means(house) -> Services:
    """The services that the worker erases with."""
    return house.services


@pytest.fixture
def office(house) -> Changes:
    """The operator's amendment service, with the worker's key."""
    return replace(house.changes, signer=house.services.signer)


@pytest.fixture
def handed(house, office) -> Callable[..., OffboardingRow]:
    """Hands over to a customer, as the command does."""

    def make(tenant: str, anew: bool = False) -> OffboardingRow:
        seals = RecordingVerifier(house.store, house.keyring, house.root_public)
        pem = signing.public_pem(house.root_public)
        options = {"anew": anew, "now": house.clock(), "entropy": house.entropy}
        sign = partial(service.hand_over, office, tenant)
        return prepare_handover(tenant, seals, house.store, pem, sign, **options)

    return make
