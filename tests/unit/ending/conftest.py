from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from recorder.access.handover.preparing import prepare
from recorder.access.sealed import Seals
from recorder.catalogue.leaving import LeavingRow
from recorder.ledger import checkpoint
from recorder.lifecycle import leaving, offboarding, retention
from recorder.lifecycle.changing import Changes
from recorder.seal import signing
from tests.house import House


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue_url) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue_url)
    yield house
    house.close()


@pytest.fixture
def means(house) -> leaving.Means:
    """What the worker erases with."""
    given = house.means
    return leaving.Means(
        retention.Means(given.store, given.root_public, given.signer, house.entropy),
        checkpoint.Means(given.store, given.signer, given.root_public, house.entropy, owner="one"),
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
        seals = Seals(house.store, house.keyring, house.root)
        pem = signing.public_pem(house.root)
        said = {"anew": anew, "now": house.now(), "entropy": house.entropy}
        sign = partial(offboarding.hand_over, office, tenant)
        return prepare(tenant, seals, house.store, pem, sign, **said)

    return make
