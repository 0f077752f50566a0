"""Keys: made once, readable by their owner, opening what they were made for and nothing else."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.errors import ConfigError
from recorder.seal import canonical_json, signing
from recorder.seal.keyring import (
    Keyring,
    WrappedKey,
    data_key_path,
    load_kek,
    make_secret,
    parse_kek,
    tenant_key_path,
    write_private,
)
from tests.expected_errors import error_of, expect_error

from .recording import NOW, RECORDING, TENANT, Keys

OTHER = "0198c0de-0000-7000-8000-00000000000b"


def test_init_writes_private_files_once(tmp_path: Path) -> None:
    paths = signing.init(tmp_path / "keys", NOW)
    modes = {path.name: path.stat().st_mode & 0o777 for path in paths}
    assert modes == {
        "root.key": 0o600,
        "root.pub": 0o644,
        "kek": 0o600,
        "manifest.key": 0o600,
        "manifest.endorsement.json": 0o644,
        "panel.key": 0o600,
        "panel.endorsement.json": 0o644,
    }
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    before = {path: path.read_bytes() for path in paths}
    (tmp_path / "keys" / "manifest.key").unlink()
    with expect_error(ConfigError, "keys.exists"):
        signing.init(tmp_path / "keys", NOW)
    before.pop(tmp_path / "keys" / "manifest.key")
    assert {path: path.read_bytes() for path in sorted((tmp_path / "keys").iterdir())} == before


def test_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kek").write_bytes(b"somebody's")
    with expect_error(ConfigError, "keys.exists"):
        write_private(tmp_path / "kek", b"ours")
    assert (tmp_path / "kek").read_bytes() == b"somebody's"


def test_key_is_written_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / "kek").read_bytes()))
    write_private(tmp_path / "kek", b"ours")
    assert synced == [b"ours"], "what is still in the process is lost with it"


def test_each_init_makes_its_own_keys(tmp_path: Path) -> None:
    first, second = signing.init(tmp_path / "a", NOW), signing.init(tmp_path / "b", NOW)
    assert all(one.read_bytes() != other.read_bytes() for one, other in zip(first, second, strict=True))


def test_openssl_reads_the_keys(keys: Keys) -> None:
    text = (keys.folder / "root.key").read_text()
    assert text.startswith("-----BEGIN PRIVATE KEY-----")
    assert (keys.folder / "root.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o666])
def test_world_readable_key_is_refused(keys: Keys, mode: int) -> None:
    path = keys.folder / "kek"
    path.chmod(mode)
    with expect_error(ConfigError, "keys.open_to_others") as failure:
        load_kek(path)
    assert str(path) in failure.value.hint
    path.chmod(0o640)
    load_kek(path)


@pytest.mark.parametrize("text", ["", "abc", base64.b64encode(bytes(31)).decode(), "!" * 44, "é" * 44])
def test_kek_of_wrong_length_is_refused(text: str) -> None:
    with expect_error(ConfigError, "keys.bad_kek"):
        parse_kek(text, "the environment")


def test_error_of_a_missing_key_file_has_a_hint(tmp_path: Path) -> None:
    with expect_error(ConfigError, "keys.unreadable") as failure:
        load_kek(tmp_path / "kek")
    assert "accord key init" in failure.value.hint


def test_only_the_tenant_key_unwraps_a_data_key(keys: Keys) -> None:
    data, wrapped = keys.keyring.new_data_key(keys.tenant_key, RECORDING)
    read = WrappedKey.from_bytes(wrapped.to_bytes())
    assert read == wrapped
    opened = keys.keyring.open_data_key(keys.tenant_key, read)
    assert (opened.key, opened.id) == (data.key, data.id)
    assert data.key not in wrapped.to_bytes()
    assert "key=" not in repr(data)
    assert data.key.hex() not in repr(keys.keyring)


def test_wrapped_key_is_bound_to_its_place(keys: Keys) -> None:
    ring = keys.keyring
    _, wrapped = ring.new_data_key(keys.tenant_key, RECORDING)
    other = ring.new_tenant_key(OTHER)
    stranger = Keyring(make_secret(bytes(32)))
    renamed = replace(wrapped, recording=OTHER)
    damaged = replace(wrapped, wrapped=bytes(48))
    renumbered = replace(wrapped, key_id="0" * 32)
    assert error_of(lambda: stranger.open_data_key(keys.tenant_key, wrapped)) == "seal.kek_missing"
    assert error_of(lambda: ring.open_data_key(other, wrapped)) == "seal.key_foreign"
    assert error_of(lambda: ring.open_data_key(keys.tenant_key, renamed)) == "seal.key_damaged"
    assert error_of(lambda: ring.open_data_key(keys.tenant_key, damaged)) == "seal.key_damaged"
    assert error_of(lambda: ring.open_data_key(keys.tenant_key, renumbered)) == "seal.key_damaged"
    assert error_of(lambda: ring.open_data_key(keys.tenant_key, keys.tenant_key)) == "seal.key_kind"
    assert error_of(lambda: ring.open_tenant_key(wrapped)) == "seal.kek_missing"
    # A tenant's key given out as another tenant's, all its names changed.
    copied_key = replace(keys.tenant_key, tenant=OTHER)
    assert error_of(lambda: ring.open_tenant_key(copied_key)) == "seal.key_damaged"


def test_former_kek_unwraps_and_current_kek_wraps(keys: Keys) -> None:
    old = load_kek(keys.folder / "kek")
    new = make_secret(bytes(range(32)))
    ring = Keyring(new, old)
    data, wrapped = ring.new_data_key(keys.tenant_key, RECORDING)
    assert ring.open_data_key(keys.tenant_key, wrapped).key == data.key
    assert ring.new_tenant_key(OTHER).wrapped_by == new.id


def test_malformed_wrapped_key_is_refused(keys: Keys) -> None:
    body = json.loads(keys.tenant_key.to_bytes())
    for change, error_id in (
        ({"version": 2}, "seal.version"),
        ({"version": True}, "seal.version"),
        ({"extra": 1}, "seal.unknown_field"),
        ({"kind": "other"}, "seal.field"),
        ({"nonce": "AA"}, "seal.field"),
        ({"recording": RECORDING}, "seal.field"),
        ({"algorithm": "none"}, "seal.field"),
    ):
        changed = canonical_json.dump(body | change)
        assert error_of(lambda content=changed: WrappedKey.from_bytes(content)) == error_id  # type: ignore[misc]
    assert error_of(lambda: WrappedKey.from_bytes(json.dumps(body).encode())) == "seal.not_canonical"


def test_paths_of_wrapped_keys(keys: Keys) -> None:
    assert tenant_key_path(TENANT) == f"keys/{TENANT}/tenant.json"
    assert data_key_path(TENANT, RECORDING) == f"keys/{TENANT}/{RECORDING}.json"
    for bad in ("..", "a/b", "", "A", "tenant", ".x", "a" * 64):
        assert error_of(lambda name=bad: data_key_path(TENANT, name)) == "seal.bad_id"  # type: ignore[misc]


def test_endorsement_limits_use_and_time(keys: Keys) -> None:
    endorsement = signing.load_endorsement(keys.folder / signing.ENDORSEMENT)
    root = keys.root.public_key()
    for use in signing.USES:
        endorsement.check(root, use, NOW)
    one_use = signing.endorse(
        keys.root,
        Ed25519PrivateKey.generate().public_key(),
        ("manifest",),
        endorsement.not_before,
        endorsement.not_after,
    )
    someone = Ed25519PrivateKey.generate()
    late = endorsement.not_after + timedelta(seconds=1)
    early = endorsement.not_before - timedelta(seconds=1)
    wider = replace(one_use, uses=("manifest", "checkpoint"))
    other_key = replace(endorsement, public_key=signing.raw_public(someone.public_key()))
    assert (
        error_of(lambda: endorsement.check(someone.public_key(), "manifest", NOW)) == "seal.endorsement_root"
    )
    assert error_of(lambda: one_use.check(root, "checkpoint", NOW)) == "seal.endorsement_use"
    assert error_of(lambda: endorsement.check(root, "manifest", late)) == "seal.endorsement_time"
    assert error_of(lambda: endorsement.check(root, "manifest", early)) == "seal.endorsement_time"
    assert error_of(lambda: wider.check(root, "checkpoint", NOW)) == "seal.endorsement_signature"
    assert error_of(lambda: other_key.check(root, "manifest", NOW)) == "seal.endorsement_signature"
    misnamed = replace(endorsement, key_id="0" * 32)
    misnamed = replace(misnamed, signature=keys.root.sign(canonical_json.dump(misnamed.body())))
    assert error_of(lambda: misnamed.check(root, "manifest", NOW)) == "seal.endorsement_key"
    assert signing.Endorsement.read(endorsement.document()) == endorsement


def test_an_endorsement_with_an_unknown_use_is_refused(keys: Keys) -> None:
    endorsement = signing.load_endorsement(keys.folder / signing.ENDORSEMENT)
    for uses in ((), ("manifest", "anything")):
        unknown = replace(endorsement, uses=uses)
        signed = replace(unknown, signature=keys.root.sign(canonical_json.dump(unknown.body())))
        document = signed.document()
        assert error_of(lambda found=document: signing.Endorsement.read(found)) == "seal.endorsement_use"  # type: ignore[misc]


def test_panel_key_signs_no_tombstone(keys: Keys) -> None:
    signing.renew(keys.folder, keys.root, NOW)
    panel = signing.load_signer(keys.folder / signing.PANEL_KEY, keys.folder / signing.PANEL_ENDORSEMENT)
    panel_uses = ("amendment", "receipt", "retention", "call_erasure", "command", "disclosure", "credential")
    for use in signing.USES:
        if use in panel_uses:
            panel.check(use, NOW)
        else:
            assert error_of(lambda use=use: panel.check(use, NOW)) == "seal.endorsement_use"  # type: ignore[misc]


def test_renewal_keeps_the_former_key(keys: Keys) -> None:
    old_key = (keys.folder / "manifest.key").read_bytes()
    signing.renew(keys.folder, keys.root, NOW)
    signer = signing.load_signer(keys.folder / "manifest.key", keys.folder / "manifest.endorsement.json")
    assert signer.key_id != keys.signer.key_id
    signer.endorsement.check(keys.root.public_key(), "manifest", NOW)
    assert (keys.folder / f"{keys.signer.key_id}.manifest.key").read_bytes() == old_key
    assert (keys.folder / "manifest.key").stat().st_mode & 0o777 == 0o600
    with expect_error(ConfigError, "keys.endorsement_mismatch"):
        signing.load_signer(
            keys.folder / "manifest.key", keys.folder / f"{keys.signer.key_id}.manifest.endorsement.json"
        )


def test_renewed_key_belongs_to_the_folder_s_owner(keys: Keys) -> None:
    """Root renews the keys that the worker and the panel read."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(keys.folder, 12345, -1)
    paths = signing.renew(keys.folder, keys.root, NOW)
    assert {path.stat().st_uid for path in paths} == {12345}


def test_file_without_a_key_is_refused(keys: Keys) -> None:
    with expect_error(ConfigError, "keys.bad_key"):
        signing.load_private(keys.folder / "kek")
    with expect_error(ConfigError, "keys.bad_key"):
        signing.load_public(keys.folder / "nothing")
    with expect_error(ConfigError, "keys.bad_endorsement"):
        signing.load_endorsement(keys.folder / "root.pub")


def test_interrupted_renewal_can_be_repeated(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead between the new key and its endorsement: the two do not go together, and it is said."""
    private, endorsement = keys.folder / "manifest.key", keys.folder / "manifest.endorsement.json"
    old_key, replace_file = private.read_bytes(), os.replace

    def die(source: Path, target: Path) -> None:
        if target == endorsement:
            raise KeyboardInterrupt
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        signing.renew(keys.folder, keys.root, NOW)
    monkeypatch.undo()
    with expect_error(ConfigError, "keys.endorsement_mismatch"):
        signing.load_signer(private, endorsement)
    signing.renew(keys.folder, keys.root, NOW)
    signing.load_signer(private, endorsement).check(signing.MANIFEST, NOW)
    assert (keys.folder / f"{keys.signer.key_id}.manifest.key").read_bytes() == old_key
