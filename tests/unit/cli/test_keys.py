"""Keys as an operator handles them: backup, restore on an empty machine, rotation, loss."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.errors import SealError
from recorder.features.keys import copies
from recorder.lifecycle import expiry
from recorder.pipeline import stages
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import kek_files, paper_key, signing
from recorder.seal.keyring import WrappedKey, load_kek
from recorder.seal.verification import verify
from recorder.store.contract import Store, Unreachable
from tests.house import Bakery
from tests.stored_recordings import put_small
from tests.unit.cli.shell import Shell


def opens(house: Bakery, recording: str, keys: Path) -> bool:
    """Whether a recording decrypts with only a folder's current key-encryption key and root."""
    row = queries.recording(house.tenant, recording)
    ring, root = kek_files.Keyring(load_kek(keys / "kek")), signing.load_public(keys / "root.pub")
    return verify(house.services.store, row.prefix, root, ring).findings == []


def test_keys_are_backed_up_and_restored_on_an_empty_machine(
    shell: Shell, house: Bakery, tmp_path: Path
) -> None:
    recording, keys, safe = put_small(house), house.folder / "keys", tmp_path / "safe"
    assert "kek" in shell.good("key", "backup", str(safe), "--same-disk")
    (safe / "root.pub").unlink()  # as if it had been interrupted
    shell.good("key", "backup", str(safe), "--same-disk")
    assert {path.stat().st_mode & 0o777 for path in safe.iterdir()} == {0o600}
    shutil.rmtree(keys)
    assert "`accord key restore` brings it back" in shell.bad("key", "show")
    shell.good("key", "restore", str(safe))
    shell.good("key", "restore", str(safe))
    (safe / "kek").write_bytes((safe / "kek").read_bytes().swapcase())
    assert "there are keys already" in shell.bad("key", "restore", str(safe)), "never over another"
    assert opens(house, recording, keys)
    assert "manifest.key" in shell.good("key", "renew"), "the root makes another"
    assert shell.json("key", "show")["signing"]["until"] > "2026"
    assert opens(house, recording, keys), "what the lost one sealed is believed as before"
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    house.services = replace(house.services, signer=signer)
    house.clock.at = datetime.now(UTC).replace(microsecond=0)
    assert opens(house, put_small(house), keys), "and calls go on"


def test_backup_to_a_disk_that_is_not_mounted_is_refused(
    shell: Shell, house: Bakery, tmp_path: Path, elsewhere: Path
) -> None:
    safe = tmp_path / "safe"
    assert "is on the disk that has the keys themselves" in shell.bad("key", "backup", str(safe))
    assert not safe.exists()
    output = shell.bad("key", "backup", "--same-disk", str(tmp_path / "media" / "safe"))
    assert f"there is no folder {tmp_path}/media" in output
    assert not (tmp_path / "media").exists()
    assert not (house.folder / "keys" / "copies.json").exists()
    assert "is lost with it" in shell.good("key", "backup", "--same-disk", str(safe))
    assert copies.verified_copies(house.folder / "keys")["kek"].same_disk
    assert "is lost with it" not in shell.good("key", "backup", str(elsewhere / "safe"))
    confirmed = copies.verified_copies(house.folder / "keys")
    assert {name: (copy.path, copy.same_disk) for name, copy in confirmed.items()} == {
        "kek": (elsewhere / "safe" / "kek", False),
        "root": (elsewhere / "safe" / "root.key", False),
    }


def test_keys_are_restored_from_paper_and_a_mistyped_line_is_reported(
    shell: Shell, house: Bakery, tmp_path: Path
) -> None:
    recording, keys = put_small(house), house.folder / "keys"
    old = load_kek(keys / "kek")
    (keys / f"{old.id}.kek").write_bytes((keys / "kek").read_bytes())
    (keys / f"{old.id}.kek").chmod(0o600)
    output = shell.good("key", "print")
    assert f"# key id {old.id}" in output
    assert (keys / "kek").read_text("ascii").strip() not in output
    names = {"kek", f"{old.id}.kek", "root.key", "root.pub"}
    before = {name: (keys / name).read_bytes() for name in names}
    shutil.rmtree(keys)

    lines = output.splitlines()
    at = lines.index("kek") + 3
    wrong = [*lines[:at], lines[at][:-1] + ("7" if lines[at][-1] != "7" else "8"), *lines[at + 1 :]]
    printed = shell("key", "restore", "--typed", typed="\n".join(wrong))
    assert printed.exit_code == 2
    assert "kek: line 3 is mistyped" in printed.output
    assert list(keys.iterdir()) == [], "nothing was written"
    other = output.replace(f"{old.id}.kek", f"{'ab' * 16}.kek")
    assert "is key" in shell("key", "restore", "--typed", typed=other).output

    swapped = (
        output.replace("\nkek\n", "\n#\n").replace("\nroot.key\n", "\nkek\n").replace("\n#\n", "\nroot.key\n")
    )
    printed = shell("key", "restore", "--typed", typed=swapped)
    assert printed.exit_code == 2
    assert "below kek stand the lines of root.key" in printed.output
    assert "below root.key stand the lines of kek" in printed.output
    assert list(keys.iterdir()) == [], "nothing was written"

    back = shell("key", "restore", "--typed", typed=output.lower())
    assert back.exit_code == 0, back.output
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    assert shell("key", "restore", "--typed", typed=output).exit_code == 0, "again, the same"
    assert opens(house, recording, keys)
    assert "manifest.key" in shell.good("key", "renew")
    assert shell("key", "restore", "--typed", str(tmp_path)).exit_code == 2
    assert shell("key", "restore").exit_code == 2


def test_invalid_key_copy_is_not_restored(shell: Shell, house: Bakery, tmp_path: Path) -> None:
    (tmp_path / "kek").write_bytes(b"AAAA\n")
    shutil.rmtree(house.folder / "keys")
    assert "not 32 bytes" in shell.bad("key", "restore", str(tmp_path))
    assert not (house.folder / "keys" / "kek").exists()


def printed_key(name: str, key: bytes) -> str:
    return "\n".join(paper_key.format_key(name, key))


def test_keys_of_another_installation_are_not_restored(shell: Shell, house: Bakery) -> None:
    """Each by what is left of this one: customers' keys in the catalogue, in the bucket, the root's public
    half, its endorsements, and what was confirmed."""
    put_small(house)
    keys = house.folder / "keys"
    own, strange = load_kek(keys / "kek"), bytes(range(32))
    (keys / "kek").unlink()
    (keys / "root.key").unlink()
    before = {path.name for path in keys.iterdir()}
    for name in ("kek", "root.key"):
        output = shell("key", "restore", "--typed", typed=printed_key(name, strange))
        assert output.exit_code == 2
        assert f"{name} is " in output.output
    (keys / "root.pub").rename(house.folder / "root.pub")
    assert shell("key", "restore", "--typed", typed=printed_key("root.key", strange)).exit_code == 2
    both = f"{printed_key('kek', own.key)}\n{printed_key('root.key', strange)}"
    assert shell("key", "restore", "--typed", typed=both).exit_code == 2
    (house.folder / "root.pub").rename(keys / "root.pub")
    assert {path.name for path in keys.iterdir()} == before, "nothing was written"
    shell.lose_the_catalogue()
    assert own.id in shell("key", "restore", "--typed", typed=printed_key("kek", strange)).output
    assert shell("key", "restore", "--typed", typed=printed_key("kek", own.key)).exit_code == 0
    shell.good("key", "show")


def test_new_keys_are_refused_if_they_would_open_nothing(shell: Shell, house: Bakery) -> None:
    put_small(house)
    keys = house.folder / "keys"
    own = load_kek(keys / "kek").id
    shutil.rmtree(keys)
    output = shell.bad("key", "init")
    assert f"wrapped by {own}" in output
    assert "accord key restore" in output
    shell.lose_the_catalogue()
    assert f"wrapped by {own}" in shell.bad("key", "init"), "the bucket has them still"
    assert not keys.exists() or list(keys.iterdir()) == []
    assert "1" in shell.good("key", "init", "--force")
    assert (keys / "kek").exists()


def test_hint_about_a_damaged_key_never_suggests_a_new_one(shell: Shell, house: Bakery) -> None:
    keys = house.folder / "keys"
    for name in ("kek", "root.pub", "root.key", "manifest.key"):
        content = (keys / name).read_bytes()
        (keys / name).write_bytes(b"damaged\n")
        words = ("key", "renew") if name == "root.key" else ("key", "show")
        for output in (shell.bad(*words), shell("doctor").output):
            assert "key init" not in output
        assert "accord key restore" in shell.bad(*words), "restore, or renew with the root"
        (keys / name).unlink()
        assert "key init" not in shell.bad(*words)
        (keys / name).write_bytes(content)
        (keys / name).chmod(0o600)


def test_operator_rotates_keys(shell: Shell, house: Bakery, tmp_path: Path) -> None:
    recording, keys = put_small(house), house.folder / "keys"
    old = load_kek(keys / "kek").id
    backup = tmp_path / "before.backup"
    shell.good("backup", str(backup))
    output = shell.good("key", "prepare")
    new = load_kek(keys / kek_files.NEXT).id
    assert new in output
    assert new in shell.good("key", "prepare"), "asked again, the same"
    assert "has been confirmed" in shell.bad("key", "rotate", "--yes")
    shutil.copy(keys / kek_files.NEXT, tmp_path / "copy")
    assert "is the next key-encryption key" in shell.good(
        "key", "verify-copy", "--same-disk", str(tmp_path / "copy")
    )
    shell.good("key", "prepare", "--tenant", house.tenant)
    output = shell.good("key", "rotate", "--yes")
    assert "rewrapped: 1" in output
    assert "is wrapped by an older key" in output
    assert f"{old}.kek is needed only for older backups" in output
    assert load_kek(keys / "kek").id == new
    assert opens(house, recording, keys)
    assert "rewrapped: 0" in shell.good("key", "rotate", "--yes"), "nothing is left to do"
    shell.good("restore", "--check", str(backup))
    (keys / f"{old}.kek").rename(tmp_path / "gone")
    assert old in shell.bad("restore", "--check", str(backup)), "what the older one is needed for"
    found = shell("doctor").output
    assert "the key-encryption key opens each one's key" in found
    assert "the key-encryption key and its copy" in found


def test_takes_in_another_nodes_spool_survive_a_rotation(shell: Shell, house: Bakery, tmp_path: Path) -> None:
    """At whatever stage, including a customer's first; that node then has only the new key."""
    keys, store = house.folder / "keys", house.services.store
    other = tmp_path / "other node" / "spool"
    folders = {}
    for stage in ("encode", "seal", "store", "catalogue"):
        folder = house.take(talk_ms=300, formats=("wav",))
        if stage == "catalogue":  # interrupted between two puts
            means, house.services = house.services, replace(house.services, store=FailingStore(store))
            with pytest.raises(Unreachable):
                house.work(folder)
            house.services, stage = means, "store"
        while stages.next_stage(folder) != stage:
            stages.step(folder, house.clock(), house.services)
        folders[folder.name] = shutil.move(folder, other / folder.name)
    old = tenant_queries.tenant_wrapped_key(house.tenant)

    shell.good("key", "prepare")
    shutil.copy(keys / kek_files.NEXT, tmp_path / "copy")
    shell.good("key", "verify-copy", "--same-disk", str(tmp_path / "copy"))
    shell.good("key", "prepare", "--tenant", house.tenant)
    output = shell.good("key", "rotate", "--yes")
    assert "0 in the catalogue, 1 in the bucket" in output, "what was being put"
    assert "spools of other nodes need no older key-encryption key" in output
    for path in keys.glob("*.kek"):
        path.unlink()
    ring = kek_files.Keyring(load_kek(keys / "kek"))
    with pytest.raises(SealError):
        ring.open_tenant_key(WrappedKey.from_bytes(old.encode()))

    house.services = replace(house.services, keyring=ring)
    for folder in folders.values():
        house.work(Path(folder))
        assert not Path(folder).exists()
    assert all(opens(house, recording, keys) for recording in folders)
    seals = RecordingVerifier(store, ring, house.services.root)
    for recording in folders:
        seals.open(queries.recording(house.tenant, recording), house.clock())
    assert "rewrapped: 2" in shell.good("key", "rotate", "--yes"), "those that were sealed before"
    assert all(opens(house, recording, keys) for recording in folders)
    assert "rewrapped: 0" in shell.good("key", "rotate", "--yes")


class FailingStore:
    """A store that is unreachable from the second audio object on."""

    def __init__(self, store: Store) -> None:
        self._store, self._sounds = store, 0

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def put(self, key: str, *args) -> None:
        self._sounds += not key.startswith("keys/")
        if self._sounds > 1:
            raise Unreachable("store.unreachable", "away", "")
        self._store.put(key, *args)


def test_key_from_the_settings_is_not_restored_beside_them(
    shell: Shell, house: Bakery, tmp_path: Path
) -> None:
    keys, safe = house.folder / "keys", tmp_path / "safe"
    shell.good("key", "backup", str(safe), "--same-disk")
    shell.environment["ACCORD_KEYS_KEK"] = (keys / "kek").read_text("ascii").strip()
    (keys / "kek").unlink()
    (keys / "root.key").unlink()
    assert str(keys / "root.key") in shell.good("key", "restore", str(safe))
    assert not (keys / "kek").exists()


def test_key_from_a_file_is_changed_by_the_commands_that_it_prints(
    shell: Shell, house: Bakery, tmp_path: Path
) -> None:
    """As the package has it: the file is root's, and systemd hands it on."""
    recording, keys, secret = put_small(house), house.folder / "keys", tmp_path / "secret"
    (keys / "kek").rename(secret)
    shell.environment["ACCORD_KEYS_KEK_FILE"] = str(secret)
    shell.good("key", "prepare")
    shutil.copy(keys / kek_files.NEXT, tmp_path / "copy")
    shell.good("key", "verify-copy", "--same-disk", str(tmp_path / "copy"))
    output = shell.good("key", "rotate", "--yes")
    commands = [line.strip() for line in output.splitlines() if line.startswith("    ")]
    assert [each.split()[0] for each in commands] == ["cp", "chown", "cp", "systemctl", "accord"]
    for command in commands[:3]:
        subprocess.run(command, shell=True, check=True)
    shell.good("key", "rotate", "--yes")
    assert not (keys / kek_files.NEXT).exists()
    secret.rename(keys / "kek")
    assert opens(house, recording, keys)


def test_key_from_the_settings_is_changed_by_hand(shell: Shell, house: Bakery, tmp_path: Path) -> None:
    recording, keys = put_small(house), house.folder / "keys"
    old, text = load_kek(keys / "kek").id, (keys / "kek").read_text("ascii")
    (keys / "kek").unlink()
    shell.environment["ACCORD_KEYS_KEK"] = text.strip()
    shell.good("key", "prepare")
    shutil.copy(keys / kek_files.NEXT, tmp_path / "copy")
    shell.good("key", "verify-copy", "--same-disk", str(tmp_path / "copy"))
    assert "Now put the content of" in shell.good("key", "rotate", "--yes")
    (keys / f"{old}.kek").write_text(text, "ascii")
    shell.environment["ACCORD_KEYS_KEK"] = (keys / kek_files.NEXT).read_text("ascii").strip()
    assert "is wrapped by an older key" in shell.good("key", "rotate", "--yes")
    assert not (keys / kek_files.NEXT).exists()
    (keys / "kek").write_text(shell.environment["ACCORD_KEYS_KEK"], "ascii")
    (keys / "kek").chmod(0o600)
    assert opens(house, recording, keys)


def test_the_receipt_of_an_erasure(shell: Shell, house: Bakery, tmp_path: Path) -> None:
    recording = put_small(house)
    assert "has not been destroyed" in shell.bad("recording", "receipt", recording)
    house.clock.forward(days=200)
    assert expiry.destroy_due(house.services, house.clock()) == 1
    file = tmp_path / "receipt.json"
    output = shell.good("recording", "receipt", recording, "-o", str(file))
    assert "destroyed at 2026-09-18T" in output
    assert "complete from 2026-10-18T" in output, "with the last backup, 30 days after"
    shell.environment["ACCORD_KEYS_BACKUPS_KEPT_DAYS"] = "0"
    output = shell.good("recording", "receipt", recording)
    assert "complete from 2026-09-18T" in output
    assert recording in shell.good("recording", "verify-receipt", str(file))
    file.write_bytes(file.read_bytes().replace(b"expired", b"deleted"))
    assert "signature is wrong" in shell.bad("recording", "verify-receipt", str(file))
