from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from recorder.access.handover.preparing import prepare
from recorder.access.sealed import Seals
from recorder.catalogue.leaving import LeavingRow
from recorder.ledger import checkpoint
from recorder.lifecycle import leaving, retention
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
def handed(house) -> Callable[..., LeavingRow]:
    """Hands over to a customer, as the command does."""

    def make(tenant: str, anew: bool = False) -> LeavingRow:
        seals = Seals(house.store, house.keyring, house.root)
        pem = signing.public_pem(house.root)
        said = {"anew": anew, "now": house.now(), "entropy": house.entropy}
        return prepare(tenant, seals, house.store, pem, **said)

    return make
