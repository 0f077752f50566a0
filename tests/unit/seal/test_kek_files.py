"""Key-encryption keys of a folder, their rotation, and the keys that are wrapped by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.errors import ConfigError, SealError, StoreError
from recorder.seal import canonical_json, kek_files, keyring
from recorder.seal.data_key import open_data_key, read_wrapped, tenant_key_of
from recorder.seal.keyring import (
    Keyring,
    Secret,
    WrappedKey,
    data_key_path,
    every_tenant_key_path,
    load_kek,
    make_secret,
    next_tenant_key_path,
    recording_of_path,
    tenant_key_path,
    wrapped_key,
    wrapped_key_at,
)
from recorder.seal.signing import KEK
from tests.entropy import RepeatableEntropy

from .recording import RECORDING, TENANT, Bucket, Keys

OTHER = "0198c0de-0000-7000-8000-00000000000b"


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises((SealError, ConfigError)) as failure:
        attempt()
    return failure.value.error_id


def line(key: Secret) -> str:
    return canonical_json.b64_line(key.key).decode()


def test_rotation_makes_the_next_key_the_current_one(keys: Keys) -> None:
    before = load_kek(keys.folder / KEK)
    next_key = kek_files.make_next(keys.folder, RepeatableEntropy())
    assert kek_files.make_next(keys.folder, RepeatableEntropy("other")) == next_key, "it is made once"
    assert next_key.id != before.id
    assert kek_files.keyring(keys.folder).current == before.id, "not before it is promoted"
    assert kek_files.rotation_keyring(keys.folder).current == next_key.id
    points: list[str] = []
    kek_files.promote(keys.folder, points.append)
    assert points == ["kek kept", "kek promoted"]
    assert load_kek(keys.folder / KEK) == next_key
    assert load_kek(keys.folder / f"{before.id}.kek") == before
    assert not (keys.folder / kek_files.NEXT).exists()
    ring = kek_files.rotation_keyring(keys.folder)
    assert ring.current == next_key.id
    assert ring.open_tenant_key(keys.tenant_key).id == keys.tenant_key.key_id, "a former one unwraps"


def test_interrupted_promotion_can_be_repeated(keys: Keys) -> None:
    before = load_kek(keys.folder / KEK)
    next_key = kek_files.make_next(keys.folder)

    def die(where: str) -> None:
        raise InterruptedError(where)

    with pytest.raises(InterruptedError, match="kek kept"):
        kek_files.promote(keys.folder, die)
    assert load_kek(keys.folder / KEK) == before
    points: list[str] = []
    kek_files.promote(keys.folder, points.append)
    assert (points, load_kek(keys.folder / KEK)) == (["kek promoted"], next_key)
    assert load_kek(keys.folder / f"{before.id}.kek") == before


def test_promotion_of_the_current_key_keeps_no_second_copy(keys: Keys) -> None:
    current = load_kek(keys.folder / KEK)
    (keys.folder / kek_files.NEXT).write_text(line(current))
    (keys.folder / kek_files.NEXT).chmod(0o600)
    kek_files.promote(keys.folder, lambda _point: None)
    assert load_kek(keys.folder / KEK) == current
    assert not (keys.folder / f"{current.id}.kek").exists()


def test_given_key_replaces_the_one_of_the_folder(keys: Keys) -> None:
    current, other_key = load_kek(keys.folder / KEK), make_secret(bytes(range(32)))
    ring = kek_files.keyring(keys.folder, line(other_key))
    assert ring.current == other_key.id
    assert refusal(lambda: ring.open_tenant_key(keys.tenant_key)) == "seal.kek_missing", "a mistake shows"
    former = keys.folder / f"{other_key.id}.kek"
    former.write_text(line(other_key))
    assert kek_files.keyring(keys.folder, line(other_key)).open_tenant_key(keys.tenant_key)
    kek_files.make_next(keys.folder)
    next_ring = kek_files.rotation_keyring(keys.folder, line(current))
    assert next_ring.current == load_kek(keys.folder / kek_files.NEXT).id
    assert next_ring.open_tenant_key(keys.tenant_key)


def test_unreadable_key_is_missed_only_where_it_is_needed(keys: Keys) -> None:
    (keys.folder / f"{'0' * 32}.kek").mkdir()
    ring = kek_files.keyring(keys.folder)
    assert ring.open_tenant_key(keys.tenant_key)
    assert {each.id for each in kek_files.other_keks(keys.folder)} == {ring.current}
    (keys.folder / f"{'1' * 32}.kek").write_text("no key")
    assert refusal(lambda: kek_files.other_keks(keys.folder)) == "keys.bad_kek"


def test_key_that_appears_meanwhile_needs_no_restart(keys: Keys) -> None:
    ring = kek_files.keyring(keys.folder)
    kek_files.make_next(keys.folder)
    wrapped = kek_files.rotation_keyring(keys.folder).rewrap_tenant_key(keys.tenant_key)
    assert wrapped.wrapped_by != keys.tenant_key.wrapped_by
    assert ring.open_tenant_key(wrapped) == ring.open_tenant_key(keys.tenant_key)


def test_backup_key_comes_from_a_key_encryption_key(keys: Keys) -> None:
    derived, kek = keys.keyring.backup_key()
    assert kek == keys.keyring.current
    assert keys.keyring.backup_key(kek) == (derived, kek)
    assert derived.key != load_kek(keys.folder / KEK).key
    assert refusal(lambda: keys.keyring.backup_key("0" * 32)) == "seal.kek_missing"


@pytest.fixture
def rotated(keys: Keys) -> tuple[WrappedKey, WrappedKey, Secret]:
    """A tenant's new key, and a data key that its former one wraps."""
    secret, wrapped = keys.keyring.new_data_key(keys.tenant_key, RECORDING)
    return keys.keyring.new_tenant_key(TENANT), wrapped, secret


def test_former_tenant_key_unwraps_a_data_key(
    keys: Keys, rotated: tuple[WrappedKey, WrappedKey, Secret]
) -> None:
    new, wrapped, secret = rotated
    place = every_tenant_key_path(TENANT, keys.tenant_key.key_id)
    bucket = Bucket({place: keys.tenant_key.to_bytes()})
    assert open_data_key(bucket, keys.keyring, new, wrapped) == secret
    assert open_data_key(Bucket({}), keys.keyring, keys.tenant_key, wrapped) == secret, "no read is needed"
    assert refusal(lambda: open_data_key(Bucket({}), keys.keyring, new, wrapped)) == "seal.key_foreign"
    foreign = keys.keyring.new_tenant_key(OTHER)
    assert refusal(lambda: open_data_key(bucket, keys.keyring, foreign, wrapped)) == "seal.key_foreign"


def test_rewrapped_data_key_is_the_same(keys: Keys, rotated: tuple[WrappedKey, WrappedKey, Secret]) -> None:
    new, wrapped, secret = rotated
    fresh = keys.keyring.rewrap_data_key(keys.tenant_key, new, wrapped)
    assert (fresh.wrapped_by, fresh.key_id, fresh.recording) == (new.key_id, secret.id, RECORDING)
    assert keys.keyring.open_data_key(new, fresh) == secret
    foreign = keys.keyring.new_tenant_key(OTHER)
    assert (
        refusal(lambda: keys.keyring.rewrap_data_key(keys.tenant_key, foreign, wrapped)) == "seal.key_foreign"
    )
    assert (
        refusal(lambda: keys.keyring.rewrap_data_key(keys.tenant_key, wrapped, wrapped)) == "seal.key_foreign"
    )


def test_only_a_missing_tenant_key_is_none(keys: Keys) -> None:
    assert tenant_key_of(Bucket({}), TENANT, "0" * 32) is None

    class Away(Bucket):
        def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
            raise StoreError("store.unreachable", "no route", "try again")

    with pytest.raises(StoreError):
        tenant_key_of(Away({}), TENANT, "0" * 32)
    place = tenant_key_path(TENANT)
    assert read_wrapped(Bucket({place: keys.tenant_key.to_bytes()}), place) == keys.tenant_key


def test_wrapped_key_must_match_its_place(keys: Keys) -> None:
    content, key_id = keys.tenant_key.to_bytes(), keys.tenant_key.key_id
    for place in (
        tenant_key_path(TENANT),
        every_tenant_key_path(TENANT, key_id),
        next_tenant_key_path(TENANT),
    ):
        assert wrapped_key_at(place, content) == keys.tenant_key
    for place in (
        tenant_key_path(OTHER), data_key_path(TENANT, RECORDING), every_tenant_key_path(TENANT, "0" * 32),
        "keys/tenant.json", f"keys/{TENANT}/tenant.txt",
    ):  # fmt: skip
        assert refusal(lambda place=place: wrapped_key_at(place, content)) == "seal.key_foreign"  # type: ignore[misc]
    assert refusal(lambda: wrapped_key_at(tenant_key_path(TENANT), b"{}")) == "seal.key_damaged"
    _, wrapped = keys.keyring.new_data_key(keys.tenant_key, RECORDING)
    assert wrapped_key_at(data_key_path(TENANT, RECORDING), wrapped.to_bytes()) == wrapped
    with pytest.raises(SealError, match=f"recording {RECORDING} of tenant {TENANT}") as failure:
        wrapped_key(wrapped.to_bytes(), "here", TENANT)
    assert failure.value.hint == keyring.RESTORE


def test_recording_in_the_place_of_a_wrapped_key() -> None:
    assert recording_of_path(data_key_path(TENANT, RECORDING)) == RECORDING
    for place in (
        tenant_key_path(TENANT),
        next_tenant_key_path(TENANT),
        every_tenant_key_path(TENANT, "0" * 32),
    ):
        assert recording_of_path(place) is None


@pytest.mark.parametrize("name", ["tenant", "tenant-next", "", "a/b", "-a", "A", "a" * 64, "a.b"])
def test_id_that_is_no_part_of_a_key_is_refused(name: str) -> None:
    assert refusal(lambda: keyring.key_part(name)) == "seal.bad_id"
    assert keyring.key_part("a" * 63) == "a" * 63


def test_keys_are_not_shown(keys: Keys) -> None:
    secret = load_kek(keys.folder / KEK)
    assert repr(secret) == f"Secret(id='{secret.id}')"
    assert repr(Keyring(secret)) == f"Keyring({secret.id})"
    with pytest.raises(ValueError, match="32 bytes"):
        make_secret(bytes(31))


def test_hint_of_a_new_installation_differs(tmp_path: Path, keys: Keys) -> None:
    with pytest.raises(ConfigError) as fresh:
        load_kek(tmp_path / "none" / KEK)
    (keys.folder / KEK).unlink()
    with pytest.raises(ConfigError) as failure:
        load_kek(keys.folder / KEK)
    assert ("accord key init" in fresh.value.hint, "accord key init" in failure.value.hint) == (True, False)
    assert "accord key restore" in failure.value.hint
