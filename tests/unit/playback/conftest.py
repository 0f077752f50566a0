from __future__ import annotations

from collections.abc import Callable

import pytest

from recorder.catalogue import queries
from recorder.catalogue.records import RecordingRow
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate


@pytest.fixture
def gate(house) -> PanelGate:
    means = house.services
    return PanelGate(means.store, means.keyring, means.root, now=house.clock, entropy=house.entropy)


@pytest.fixture
def somebody(house) -> Callable[..., Actor]:
    """A user of the house's tenant, or of another's."""

    def make(role: str = "customer", tenant: str | None = None, login: str | None = None) -> Actor:
        row = house.user(
            tenant or house.tenant, login or f"{house.entropy(4).hex()}@example.be", role, name="Ada"
        )
        return Actor(row.id, row.tenant, row.role, row.language)

    return make


@pytest.fixture
def ada(somebody) -> Actor:
    return somebody("customer")


@pytest.fixture
def stranger(house, somebody) -> Actor:
    """A user of another tenant."""
    tenant = str(uuid7(house.clock(), house.entropy))
    wrapped = house.services.keyring.new_tenant_key(tenant, house.entropy).to_bytes().decode()
    tenants.create_tenant(
        tenant, name="Van Dyck NV", wrapped_key=wrapped, now=house.clock(), entropy=house.entropy
    )
    return somebody("customer_admin", tenant)


@pytest.fixture
def recorded(house) -> Callable[..., RecordingRow]:
    """A call through every stage; its row. Stored as WAV alone, which needs no encoding."""

    def make(**changes) -> RecordingRow:
        folder = house.take(**({"formats": ("wav",)} | changes))
        house.work(folder)
        house.clock.forward(minutes=2)
        row = queries.recording(house.tenant, folder.name)
        assert row is not None
        return row

    return make


@pytest.fixture
def recording(recorded) -> RecordingRow:
    return recorded()
