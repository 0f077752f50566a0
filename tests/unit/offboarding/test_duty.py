"""What is checked before a departed customer's keys are destroyed, and which keys those are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.tables import lease
from recorder.errors import RetentionError, SealError, StoreError
from recorder.features.offboarding import duty
from recorder.features.offboarding.queries import require_departure
from recorder.lifecycle import amendment_store
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.key_rotation import CLAIM
from recorder.seal.amendment import SYSTEM, name
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.amendment_kinds import EXPIRED
from recorder.seal.keyring import WrappedKey, data_key_path, next_tenant_key_path, tenant_key_path
from recorder.store.contract import Store
from tests.expected_errors import expect_error
from tests.house import Customer
from tests.unit.offboarding.forgery import put


@pytest.fixture
def rival(house) -> Customer:
    return house.customer("Van Dyck NV", "+3225550199")


def erased(house, tenant: str, revoked: Mapping[str, datetime] = {}) -> dict[str, int]:
    return duty.check_all_erased(tenant, house.store, house.root_public, revoked)


def wrapped_key(tenant: str) -> bytes:
    text = tenant_queries.tenant_wrapped_key(tenant)
    assert text is not None
    return text.encode()


def test_what_was_never_committed_needs_no_tombstone(house, bakery) -> None:
    put(house, f"{bakery.id}/2026/11/25/01930000-0000-7000-8000-0000000000c1/audio.opus", b"sound")
    assert erased(house, bakery.id) == {}


def test_every_recording_needs_a_tombstone_that_counts(house, bakery) -> None:
    row = queries.recording(bakery.id, house.call(bakery))
    with expect_error(RetentionError, "offboarding.not_erased"):
        erased(house, bakery.id)
    chain, signer = chain_of(house.store, row.prefix, house.root_public), house.services.signer
    now, root = house.clock(), house.root_public
    amendment_store.put(house.store, chain, make_tombstone(chain, EXPIRED), SYSTEM, signer, root, now)
    assert erased(house, bakery.id) == {EXPIRED: 1}
    revoked = {signer.key_id: now + timedelta(hours=1)}
    with pytest.raises(RetentionError):
        erased(house, bakery.id, revoked)
    for each in chain.manifest.objects:
        house.store.delete(row.prefix + each.name)
    assert erased(house, bakery.id, revoked) == {EXPIRED: 1}, "nothing is left to keep"
    (house.bucket / (row.prefix + name(1))).write_bytes(b"{}")
    with pytest.raises(SealError):
        erased(house, bakery.id)


def test_destroys_the_customers_own_keys_and_no_recordings(house, bakery, rival) -> None:
    recording, own = house.call(bakery), WrappedKey.from_bytes(wrapped_key(bakery.id)).key_id
    put(house, next_tenant_key_path(bakery.id), wrapped_key(rival.id))
    order = house.order_erasure(bakery.id)
    house.store.delete(tenant_key_path(bakery.id))
    assert duty.destroy_keys(order, house.store, house.clock(), house.entropy) == (own,)
    assert list(house.store.list(f"keys/{bakery.id}/")) == [data_key_path(bakery.id, recording)]
    assert tenant_queries.tenant_wrapped_key(bakery.id) is None
    assert tenant_queries.tenant_wrapped_key(rival.id) is not None
    assert lease.take(CLAIM, "another process", house.clock()), "the lease was returned"


def test_a_key_that_stays_in_the_bucket_is_reported(house, bakery) -> None:
    class UndeletableStore:
        """A store from which nothing is deleted."""

        def __init__(self, store: Store) -> None:
            self._store = store

        def delete(self, _key: str) -> None:
            return None

        def __getattr__(self, name: str) -> object:
            return getattr(self._store, name)

    put(house, tenant_key_path(bakery.id), wrapped_key(bakery.id))
    order = house.order_erasure(bakery.id)
    with expect_error(StoreError, "store.not_deleted"):
        duty.destroy_keys(order, UndeletableStore(house.store), house.clock(), house.entropy)


def test_another_customers_receipt_ends_nothing(house, bakery, rival, means) -> None:
    house.order_erasure(rival.id)
    assert duty.erase_due(means, house.clock()) == 1
    house.order_erasure(bakery.id)
    put(house, duty.place_of(bakery.id), house.store.read(duty.place_of(rival.id)))
    assert duty.erase_due(means, house.clock()) == 0
    assert require_departure(bakery.id).receipt is None
