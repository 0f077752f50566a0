"""A forger's rows and objects, a real departure to compare them with, and the audit's findings."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.features.offboarding import service
from recorder.identity import users
from recorder.lifecycle.amendment_service import Changes
from recorder.seal.amendment import By
from tests.house import Customer

OPERATOR = By("operator")

SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])


def forge_row(house, tenant: str) -> None:
    """The row that an attacker with write access to the catalogue inserts."""
    past = house.clock() - timedelta(days=2)
    with writing():
        OffboardingTable.insert(tenant_id=tenant, announced_at=past, until=past, erasing_since=past).execute()


def audited(house, tenant: str) -> list[str]:
    return [
        each.code
        for each in Audit(house.store, house.root_public, house.clock(), house.keyring).tenant(tenant)
    ]


def put(house, key: str, content: bytes) -> None:
    file = house.folder / "an object"
    file.write_bytes(content)
    house.store.put(key, file, hashlib.sha256(content).hexdigest())


def leave(office: Changes, customer: Customer, early: str | None = "By letter") -> None:
    service.announce(office, customer.id, office.now() + timedelta(days=10))
    service.order_erasure(office, customer.id, early=early)


def assert_whole(house, customer: Customer, recording: str) -> None:
    """Check that nothing of a customer was erased."""
    assert queries.recording(customer.id, recording).erased_at is None
    assert users.user_by_login("paul") is not None
    assert tenant_queries.tenant_wrapped_key(customer.id) is not None
    assert f"keys/{customer.id}/tenant.json" in house.store.list("keys/")
    assert f"keys/{customer.id}/{recording}.json" in house.store.list("keys/")
