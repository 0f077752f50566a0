from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from recorder.auditlog import checkpoint
from recorder.catalogue.departures import LeavingRow
from recorder.features.offboarding import decisions, erasure
from recorder.features.offboarding.plan import prepare
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.verified_recording import Seals
from recorder.seal import signing
from tests.house import House


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue_url) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue_url)
    yield house
    house.close()


@pytest.fixture
def means(house) -> erasure.OffboardingDeps:
    """What the worker erases with."""
    given = house.means
    return erasure.OffboardingDeps(
        expiry.ErasureDeps(given.store, given.root_public, given.signer, house.entropy),
        checkpoint.CheckpointDeps(given.store, given.signer, given.root_public, house.entropy, owner="one"),
        timedelta(days=30),
    )


@pytest.fixture
def office(house) -> Changes:
    """What the operator decides with: signed by the worker's key."""
    return replace(house.changes, signer=house.means.signer)


@pytest.fixture
def handed(house, office) -> Callable[..., LeavingRow]:
    """Hands over to a customer, as the command does."""

    def make(tenant: str, anew: bool = False) -> LeavingRow:
        seals = Seals(house.store, house.keyring, house.root_public)
        pem = signing.public_pem(house.root_public)
        said = {"anew": anew, "now": house.clock(), "entropy": house.entropy}
        sign = partial(decisions.hand_over, office, tenant)
        return prepare(tenant, seals, house.store, pem, sign, **said)

    return make
