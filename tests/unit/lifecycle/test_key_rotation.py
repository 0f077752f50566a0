"""Key rotation: which wrapped keys it replaces, what it repairs, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import AccordError, SealError
from recorder.lifecycle import wrapped_key_rows
from recorder.lifecycle.key_rotation import CLAIM, KeyRotation, rotation_status
from recorder.seal import kek_files, keyring
from recorder.seal.verification import verify
from tests.expected_errors import expect_error
from tests.stored_recordings import put_small

pytestmark = pytest.mark.postgresql


class Interrupted(Exception):
    """Stops a rotation where it stands, as a kill would."""


@pytest.fixture
def recordings(house) -> list[str]:
    return [put_small(house) for _ in range(2)]


@pytest.fixture
def keys(house) -> Path:
    """The keys' folder, with a next key-encryption key."""
    folder = house.folder / "keys"
    kek_files.make_next(folder, house.entropy)
    return folder


@pytest.fixture
def rotation(house, keys) -> Callable[..., KeyRotation]:
    """A rotation to the next key-encryption key."""

    def make(**changes) -> KeyRotation:
        ring = kek_files.rotation_keyring(keys)
        key_rotation = KeyRotation(house.store, ring, house.clock, house.entropy, "this process")
        return replace(key_rotation, **changes)

    return make


def tenant_key(house) -> keyring.WrappedKey:
    found = tenant_queries.tenant_key(house.tenant)
    assert found is not None
    return found


def read_key(house, place: str) -> keyring.WrappedKey:
    return keyring.WrappedKey.from_bytes((house.bucket / place).read_bytes())


def overwrite(house, place: str, content: bytes) -> None:
    path = house.bucket / place
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(content)


def damage(key: keyring.WrappedKey) -> bytes:
    return replace(key, wrapped=bytes([key.wrapped[0] ^ 1]) + key.wrapped[1:]).to_bytes()


def set_row_key(house, text: str) -> None:
    with writing():
        TenantTable.update(wrapped_key=text).where(TenantTable.id == house.tenant).execute()


def foreign_key(house) -> keyring.WrappedKey:
    return house.keyring.new_tenant_key("somebody-else", house.entropy)


def assert_rotated(house, keys: Path, recordings: list[str]) -> None:
    """Everything opens with the next key-encryption key alone."""
    status = rotation_status(house.store)
    assert set(status.by_kek) == {keyring.load_kek(keys / kek_files.NEXT).id}
    assert (status.rows, status.objects, status.unfinished, status.absent) == (0, 0, (), ())
    alone = kek_files.Keyring(keyring.load_kek(keys / kek_files.NEXT))
    for each in recordings:
        row = queries.recording(house.tenant, each)
        assert row is not None
        assert verify(house.store, row.prefix, house.root_public, alone).findings == []
        assert (
            row.wrapped_key == read_key(house, keyring.data_key_path(house.tenant, each)).to_bytes().decode()
        )


def test_wraps_tenant_keys_by_the_next_kek_and_leaves_recordings_alone(
    house, keys, rotation, recordings
) -> None:
    before = tenant_key(house)
    assert rotation().all() == (0, 0)
    after = tenant_key(house)
    assert (after.key_id, after.wrapped_by) == (before.key_id, keyring.load_kek(keys / kek_files.NEXT).id)
    assert read_key(house, keyring.tenant_key_path(house.tenant)) == after
    assert_rotated(house, keys, recordings)


def test_gives_a_tenant_a_new_key_and_wraps_its_recordings_by_it(house, keys, rotation, recordings) -> None:
    before = tenant_key(house).key_id
    announced = rotation().begin(house.tenant)
    assert rotation_status(house.store).unfinished == (house.tenant,)
    assert rotation().all() == (2, 0)
    assert tenant_key(house).key_id == announced != before
    for key_id in (before, announced):
        assert read_key(house, keyring.every_tenant_key_path(house.tenant, key_id)).key_id == key_id
    assert_rotated(house, keys, recordings)
    assert rotation().all() == (0, 0), "nothing is left to do"


def test_wraps_a_tenants_former_keys_too(house, keys, rotation, recordings) -> None:
    first = tenant_key(house).key_id
    same_kek = KeyRotation(house.store, house.keyring, house.clock, house.entropy, "this process")
    same_kek.begin(house.tenant)
    assert same_kek.all() == (2, 0)
    rotation().all()
    former = read_key(house, keyring.every_tenant_key_path(house.tenant, first))
    assert former.wrapped_by == keyring.load_kek(keys / kek_files.NEXT).id
    assert_rotated(house, keys, recordings)


def test_announces_the_same_key_until_it_is_in_use(house, rotation) -> None:
    announced = rotation().begin(house.tenant)
    assert rotation().begin(house.tenant) == announced
    place = keyring.next_tenant_key_path(house.tenant)
    overwrite(house, place, damage(read_key(house, place)))
    assert rotation().begin(house.tenant) != announced, "a damaged one is replaced"


def test_resumes_after_an_interruption_anywhere(house, keys, rotation, recordings) -> None:
    def stop_at(count: int) -> Callable[[str], None]:
        points = iter(range(count, 0, -1))

        def boundary(_point: str) -> None:
            if next(points) == 1:
                raise Interrupted

        return boundary

    rotation().begin(house.tenant)
    for count in range(1, 30):
        try:
            rotation(boundary=stop_at(count)).all()
        except Interrupted:
            continue
        break
    else:
        pytest.fail("the rotation never ended")
    assert count > 3
    assert_rotated(house, keys, recordings)


@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_restores_the_buckets_tenant_key_from_the_row(house, keys, rotation, recordings, state) -> None:
    place = keyring.tenant_key_path(house.tenant)
    if state == "missing":
        (house.bucket / place).unlink()
    else:
        overwrite(house, place, damage(read_key(house, place)))
    rotation().all()
    assert read_key(house, place) == tenant_key(house)
    assert_rotated(house, keys, recordings)


@pytest.mark.parametrize("kind", ["foreign", "damaged", "garbage"])
def test_restores_the_rows_tenant_key_from_the_bucket(house, keys, rotation, recordings, kind) -> None:
    own = tenant_key(house)
    content = {"foreign": foreign_key(house).to_bytes(), "damaged": damage(own), "garbage": b"{}"}[kind]
    set_row_key(house, content.decode())
    rotation().all()
    assert tenant_key(house).key_id == own.key_id
    assert_rotated(house, keys, recordings)


def test_refuses_where_neither_row_nor_bucket_has_the_tenants_key(house, rotation, recordings) -> None:
    before = damage(tenant_key(house))
    set_row_key(house, before.decode())
    overwrite(house, keyring.tenant_key_path(house.tenant), before)
    with expect_error(SealError, "seal.key_damaged"):
        rotation().all()
    assert read_bytes(house, keyring.tenant_key_path(house.tenant)) == before, "nothing was written"


def read_bytes(house, place: str) -> bytes:
    return (house.bucket / place).read_bytes()


def test_removes_another_tenants_key_from_a_tenants_folder(house, keys, rotation, recordings) -> None:
    foreign = foreign_key(house)
    place = keyring.every_tenant_key_path(house.tenant, foreign.key_id)
    overwrite(house, place, foreign.to_bytes())
    rotation().all()
    assert place not in house.objects()
    assert_rotated(house, keys, recordings)


def test_refuses_a_damaged_next_key_and_says_how_to_replace_it(house, rotation, recordings) -> None:
    rotation().begin(house.tenant)
    place = keyring.next_tenant_key_path(house.tenant)
    overwrite(house, place, b"{}")
    before = house.objects()
    with pytest.raises(SealError) as failure:
        rotation().all()
    assert "accord key prepare" in failure.value.hint
    assert house.objects() == before


def test_refuses_a_key_that_was_changed_for_another(house, rotation, recordings) -> None:
    former = read_bytes(house, keyring.tenant_key_path(house.tenant))
    rotation().begin(house.tenant)
    rotation().all()
    overwrite(house, keyring.next_tenant_key_path(house.tenant), former)
    with expect_error(SealError, "seal.key_former"):
        rotation().all()


def test_refuses_to_run_twice_at_once(house, rotation) -> None:
    assert lease.take(CLAIM, "another process", house.clock())
    attempts = (
        lambda: rotation().all(),
        lambda: rotation().begin(house.tenant),
        lambda: rotation().put_back([(house.tenant, "any")]),
    )
    for attempt in attempts:
        with expect_error(SealError, "keys.busy"):
            attempt()
    house.clock.forward(minutes=6)
    assert rotation().all() == (0, 0), "a process that died holds the lease for five minutes"
    assert lease.take(CLAIM, "another process", house.clock()), "and a finished one returns it"


@pytest.mark.parametrize("fails", [False, True])
def test_announcing_a_key_returns_the_lease(house, rotation, fails) -> None:
    if fails:
        with pytest.raises(AccordError):
            rotation().begin("nobody")
    else:
        rotation().begin(house.tenant)
    assert lease.take(CLAIM, "another process", house.clock())


def test_leaves_a_recording_that_somebody_is_erasing(house, rotation, recordings) -> None:
    rotation().begin(house.tenant)
    assert lease.take(f"recording:{recordings[0]}", "a worker", house.clock())
    assert rotation().all() == (1, 1)
    lease.release(f"recording:{recordings[0]}", "a worker")
    assert rotation().all() == (1, 0)


def test_puts_no_key_back_whose_row_lost_it_meanwhile(house, rotation, recordings) -> None:
    place = keyring.data_key_path(house.tenant, recordings[0])

    def erase(point: str) -> None:
        if point == "data key put" and place in house.objects():
            with writing():
                RecordingTable.update(wrapped_key=None).where(RecordingTable.id == recordings[0]).execute()

    rotation().begin(house.tenant)
    count, left = rotation(boundary=erase).all()
    assert (count, left) == (1, 1)
    assert place not in house.objects()


@pytest.mark.parametrize("spoiled", ["missing", "foreign"])
def test_puts_a_recordings_key_back_from_its_row(house, rotation, recordings, spoiled) -> None:
    place = keyring.data_key_path(house.tenant, recordings[0])
    if spoiled == "missing":
        (house.bucket / place).unlink()
    else:
        overwrite(house, place, read_bytes(house, keyring.data_key_path(house.tenant, recordings[1])))
    status = rotation_status(house.store)
    assert status.absent == ((house.tenant, recordings[0]),)
    assert rotation().put_back(status.absent) == 1
    row = queries.recording(house.tenant, recordings[0])
    assert row is not None
    assert row.wrapped_key == read_bytes(house, place).decode()
    assert rotation_status(house.store).absent == ()


def test_reports_a_recording_without_any_good_key_and_rotates_the_others(house, rotation, recordings) -> None:
    row = queries.recording(house.tenant, recordings[0])
    assert row is not None
    assert row.wrapped_key is not None
    bad = damage(keyring.WrappedKey.from_bytes(row.wrapped_key.encode()))
    overwrite(house, keyring.data_key_path(house.tenant, recordings[0]), bad)
    with writing():
        RecordingTable.update(wrapped_key=bad.decode()).where(RecordingTable.id == recordings[0]).execute()
    rotation().begin(house.tenant)
    reported: list[str] = []
    assert rotation(refused=lambda error: reported.append(error.error_id)).all() == (1, 0)
    assert reported == ["seal.key_damaged"]
    with pytest.raises(SealError):
        rotation().all()


def test_skips_a_tenant_whose_key_was_destroyed(house, rotation) -> None:
    set_row_key(house, "")
    assert rotation().all() == (0, 0)
    assert rotation_status(house.store).by_kek == {}


def test_refuses_without_the_kek_that_wraps_a_key(house, keys, rotation, recordings) -> None:
    alone = kek_files.Keyring(keyring.load_kek(keys / kek_files.NEXT))
    with expect_error(SealError, "seal.kek_missing"):
        rotation(keyring=alone).all()


def test_newest_recording_by_a_key(house, keys, rotation, recordings) -> None:
    key = tenant_key(house).key_id
    assert wrapped_key_rows.newest_wrapped_by(house.tenant, key) == max(recordings)
    assert wrapped_key_rows.newest_wrapped_by("nobody", key) == ""
    assert wrapped_key_rows.newest_wrapped_by(house.tenant, "0" * 32) == ""


def test_refuses_what_is_no_key_in_a_tenants_folder(house, rotation, recordings) -> None:
    overwrite(house, keyring.every_tenant_key_path(house.tenant, "f" * 32), b"{}")
    with pytest.raises(SealError):
        rotation().all()


def test_reaches_its_points_in_order(house, rotation, recordings) -> None:
    points: list[str] = []
    rotation().begin(house.tenant)
    rotation(boundary=points.append).all()
    assert points.index("tenant key put") < points.index("tenant key catalogued")
    assert points[-1] == "next key deleted"
