"""Exchanged, damaged or missing wrapped keys: nothing is written elsewhere, no key replaces them, and they
can be repaired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import SealError, StoreError
from recorder.features.offboarding.duty import destroy_keys
from recorder.identity.tenants import create_tenant
from recorder.ids import uuid7
from recorder.pipeline import stages
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import kek_files
from recorder.seal.keyring import WrappedKey, data_key_path, every_tenant_key_path, tenant_key_path
from recorder.seal.verification import verify
from tests.house import Bakery
from tests.stored_recordings import put_small
from tests.unit.cli.shell import Shell


@pytest.fixture
def other(house: Bakery) -> str:
    """Another customer."""
    identity = str(uuid7(house.clock(), house.entropy))
    text = house.services.keyring.new_tenant_key(identity, house.entropy).to_bytes().decode()
    time_and_entropy = {"now": house.clock(), "entropy": house.entropy}
    return create_tenant(identity, name="Menuiserie Dubois", wrapped_key=text, **time_and_entropy).id


def state(house: Bakery) -> tuple[dict[str, str], dict[str, str | None], dict[str, bytes], int]:
    """Every wrapped key in rows and bucket, and how many leaves there are."""
    with connected():
        tenants = {row.id: row.wrapped_key for row in TenantTable.select()}
        recordings = {row.id: row.wrapped_key for row in RecordingTable.select()}
        leaves = LeafTable.select().count()
    objects = {key: house.services.store.read(key) for key in house.objects() if key.startswith("keys/")}
    return tenants, recordings, objects, leaves


def put(house: Bakery, place: str, content: bytes) -> None:
    """Write an object as an intruder in the bucket."""
    (house.bucket / place).parent.mkdir(parents=True, exist_ok=True)
    (house.bucket / place).write_bytes(content)


def set_row(tenant: str, text: str) -> None:
    with writing():
        TenantTable.update(wrapped_key=text).where(TenantTable.id == tenant).execute()


def assert_opens(house: Bakery, *recordings: str) -> None:
    ring = kek_files.keyring(house.folder / "keys")
    for recording in recordings:
        row = queries.recording(house.tenant, recording)
        RecordingVerifier(house.services.store, ring, house.services.root).open(row, house.clock())
        assert verify(house.services.store, row.prefix, house.services.root, ring).findings == []


def key_of(tenant: str) -> WrappedKey:
    return WrappedKey.from_bytes(tenant_queries.tenant_wrapped_key(tenant).encode())


def damaged_key(key: WrappedKey) -> WrappedKey:
    return replace(key, wrapped=bytes([key.wrapped[0] ^ 1]) + key.wrapped[1:])


@pytest.mark.parametrize("how", ["foreign", "damaged", "garbage"])
def test_next_key_of_another_customer_is_never_used(
    shell: Shell, house: Bakery, other: str, how: str
) -> None:
    recording = put_small(house)
    place = f"keys/{house.tenant}/tenant-next.json"
    if how == "damaged":
        shell.good("key", "prepare", "--tenant", house.tenant)
    bad = {
        "foreign": lambda: key_of(other).to_bytes(),
        "damaged": lambda: damaged_key(WrappedKey.from_bytes((house.bucket / place).read_bytes())).to_bytes(),
        "garbage": lambda: b"{}",
    }[how]()
    put(house, place, bad)
    before = state(house)
    output = shell.bad("key", "rotate", "--yes")
    assert place in output
    assert f"`accord key prepare --tenant {house.tenant}`" in output
    assert state(house) == before, "nothing was written"
    shell.good("key", "prepare", "--tenant", house.tenant)
    assert "rewrapped: 1" in shell.good("key", "rotate", "--yes")
    assert_opens(house, recording)


def test_installation_with_another_customers_key_is_repaired(shell: Shell, house: Bakery, other: str) -> None:
    """As an earlier `accord key rotate` left it."""
    recording, own, foreign = put_small(house), key_of(house.tenant), key_of(other)
    put(house, every_tenant_key_path(house.tenant, own.key_id), own.to_bytes())
    for place in (tenant_key_path(house.tenant), every_tenant_key_path(house.tenant, foreign.key_id)):
        put(house, place, foreign.to_bytes())
    set_row(house.tenant, foreign.to_bytes().decode())
    found = shell("doctor").output
    assert f"the row of tenant {house.tenant} is the key of tenant {other}" in found
    assert "accord key rotate" in found
    take = house.take(talk_ms=300)
    with pytest.raises(SealError, match="is the key of tenant"):
        house.work(take)
    shell.good("key", "rotate", "--yes")
    assert key_of(house.tenant) == own
    assert key_of(other) == foreign
    assert every_tenant_key_path(house.tenant, foreign.key_id) not in house.objects()
    house.work(take)
    assert_opens(house, recording, take.name)
    after = state(house)
    shell.good("key", "rotate", "--yes")
    assert state(house) == after


def test_invalid_tenant_key_does_not_stop_the_rotation_of_others(
    shell: Shell, house: Bakery, other: str
) -> None:
    recording = put_small(house)
    put(house, f"keys/{other}/tenant-x.json", b"{}")
    shell.good("key", "prepare", "--tenant", house.tenant)
    before = key_of(house.tenant)
    shell.good("key", "rotate", "--yes")
    assert key_of(house.tenant).key_id != before.key_id
    assert_opens(house, recording)
    assert (house.bucket / f"keys/{other}/tenant-x.json").read_bytes() == b"{}"


def test_retired_key_never_becomes_current_again(shell: Shell, house: Bakery) -> None:
    recording, old = put_small(house), key_of(house.tenant).to_bytes()
    shell.good("key", "prepare", "--tenant", house.tenant)
    shell.good("key", "rotate", "--yes")
    new = key_of(house.tenant)
    put(house, tenant_key_path(house.tenant), old)
    shell.good("key", "rotate", "--yes")
    assert key_of(house.tenant) == new
    assert house.services.store.read(tenant_key_path(house.tenant)) == new.to_bytes()
    put(house, f"keys/{house.tenant}/tenant-next.json", old)
    assert "which was replaced" in shell.bad("key", "rotate", "--yes")
    shell.good("key", "prepare", "--tenant", house.tenant)
    shell.good("key", "rotate", "--yes")
    assert key_of(house.tenant).key_id not in (new.key_id, WrappedKey.from_bytes(old).key_id)
    assert_opens(house, recording)


def test_row_without_a_valid_key_stops_the_rotation(shell: Shell, house: Bakery) -> None:
    recording, own = put_small(house), key_of(house.tenant)
    put(house, tenant_key_path(house.tenant), damaged_key(own).to_bytes())
    set_row(house.tenant, damaged_key(own).to_bytes().decode())
    before = state(house)
    for words in (("key", "prepare", "--tenant", house.tenant), ("key", "rotate", "--yes")):
        output = shell.bad(*words)
        assert "does not open" in output
        assert "No new key opens what this one did" in output
        assert state(house) == before
    put(house, tenant_key_path(house.tenant), own.to_bytes())
    shell.good("key", "rotate", "--yes")
    assert key_of(house.tenant) == own, "the bucket's, once it is back"
    assert_opens(house, recording)


@pytest.mark.parametrize("at", ["row", "bucket"])
def test_exchanged_recording_key_is_not_written(shell: Shell, house: Bakery, at: str) -> None:
    """The other copy, in the row or the bucket, is rewrapped."""
    first, second = put_small(house), put_small(house)
    strange = queries.recording(house.tenant, second).wrapped_key
    if at == "row":
        with writing():
            RecordingTable.update(wrapped_key=strange).where(RecordingTable.id == first).execute()
    else:
        put(house, data_key_path(house.tenant, first), strange.encode())
    shell.good("key", "prepare", "--tenant", house.tenant)
    assert "rewrapped: 2" in shell.good("key", "rotate", "--yes")
    assert_opens(house, first, second)


def test_lost_recording_key_is_reported_and_others_are_rotated(shell: Shell, house: Bakery) -> None:
    first, second = put_small(house), put_small(house)
    strange = queries.recording(house.tenant, second).wrapped_key
    put(house, data_key_path(house.tenant, first), strange.encode())
    with writing():
        RecordingTable.update(wrapped_key=strange).where(RecordingTable.id == first).execute()
    shell.good("key", "prepare", "--tenant", house.tenant)
    before = house.services.store.read(data_key_path(house.tenant, first))
    output = shell.bad("key", "rotate", "--yes")
    assert f"the row of recording {first} is the key of recording {second}" in output
    assert house.services.store.read(data_key_path(house.tenant, first)) == before
    assert_opens(house, second)


def test_recording_key_is_restored_to_the_bucket_from_its_row(shell: Shell, house: Bakery) -> None:
    first, second = put_small(house), put_small(house)
    put(house, data_key_path(house.tenant, first), b"{}")
    (house.bucket / data_key_path(house.tenant, second)).unlink()
    shell.good("key", "rotate", "--yes")
    assert_opens(house, first, second)


def test_another_customers_key_in_the_bucket_stops_storing(house: Bakery, other: str) -> None:
    put_small(house)
    put(house, tenant_key_path(house.tenant), key_of(other).to_bytes())
    take = house.take(talk_ms=300)
    with pytest.raises(StoreError, match="is the key of tenant"):
        house.work(take)
    assert stages.next_stage(take) == "store", "it waits"
    assert not [key for key in house.objects() if take.name in key]


def test_damaged_key_in_place_of_a_takes_own_is_refused(house: Bakery) -> None:
    take = house.take(talk_ms=300)
    while stages.next_stage(take) != "store":
        stages.step(take, house.clock(), house.services)
    mine = WrappedKey.from_bytes((take / "key.json").read_bytes())
    put(house, data_key_path(house.tenant, take.name), damaged_key(mine).to_bytes())
    with pytest.raises((SealError, StoreError)):
        house.work(take)
    assert stages.next_stage(take) == "store"


@pytest.mark.parametrize("how", ["foreign", "damaged"])
def test_rebuild_accepts_no_foreign_customer_key(shell: Shell, house: Bakery, other: str, how: str) -> None:
    recording, own = put_small(house), key_of(house.tenant)
    bad = key_of(other) if how == "foreign" else damaged_key(own)
    put(house, tenant_key_path(house.tenant), bad.to_bytes())
    shell.lose_the_catalogue()
    output = shell.bad("rebuild")
    assert f"seal.key_{how}" in output
    with connected():
        assert [row.wrapped_key for row in TenantTable.select()] == []
    put(house, tenant_key_path(house.tenant), own.to_bytes())
    shell("rebuild")
    assert key_of(house.tenant) == own
    assert_opens(house, recording)


def test_another_customers_key_is_not_destroyed_with_a_customers_own(house: Bakery, other: str) -> None:
    put_small(house)
    foreign = key_of(other)
    put(house, every_tenant_key_path(house.tenant, foreign.key_id), foreign.to_bytes())
    own = key_of(house.tenant)
    order = house.order_erasure(house.tenant)
    assert destroy_keys(order, house.services.store, house.clock(), house.entropy) == (own.key_id,)


def test_copy_of_the_kek_must_open_each_customers_key(
    shell: Shell, house: Bakery, other: str, tmp_path: Path
) -> None:
    set_row(house.tenant, key_of(other).to_bytes().decode())
    (tmp_path / "copy").write_bytes((house.folder / "keys" / "kek").read_bytes())
    assert "is the key of tenant" in shell.bad("key", "verify-copy", "--same-disk", str(tmp_path / "copy"))
